/** What people do in the browser: issues, comments, labels, pushes. */
import { z } from 'zod';
import { announceCheck } from './checks.ts';
import { refsOf } from './git-store.ts';
import { addComment, addLabel, assign, closeIssue, editComment, editIssue, openIssue, removeLabel } from './issues.ts';
import { commitTo, Files } from './making.ts';
import { refsChanged } from './pushes.ts';
import { type ControlContext, ControlFailure, issueAt, person, repositoryNamed, verb, Where } from './verb.ts';

const PushRequest = z.strictObject({
  repository: z.string(),
  branch: z.string(),
  files: Files,
  message: z.string(),
  as: z.string(),
});
const NewIssue = z.strictObject({
  repository: z.string(),
  title: z.string(),
  body: z.string().nullable().default(null),
  as: z.string(),
});
const IssueChange = Where.extend({ title: z.string().optional(), body: z.string().optional() });
const ById = z.strictObject({ id: z.int(), as: z.string() });

async function pushCommit(context: ControlContext, given: z.output<typeof PushRequest>) {
  const { world } = context;
  const repository = repositoryNamed(world, given.repository);
  const by = person(world, given.as);
  const before = await refsOf(world.directory, repository.directory);
  const sha = await commitTo(world, repository, given.branch, given.files, given.message, by);
  await refsChanged(context, repository, by, before);
  return { sha };
}

export const people = {
  createIssue: verb(NewIssue, async (context, given) => {
    const author = { account: person(context.world, given.as), via: null };
    const issue = await openIssue(context, repositoryNamed(context.world, given.repository), author, given.title, given.body);
    return { number: issue.number, id: issue.id };
  }),
  editIssue: verb(IssueChange, (context, { title, body, ...at }) =>
    editIssue(context, issueAt(context.world, at), person(context.world, at.as), {
      ...(title === undefined ? {} : { title }),
      ...(body === undefined ? {} : { body }),
    }),
  ),
  closeIssue: verb(Where, (context, at) => closeIssue(context, issueAt(context.world, at), person(context.world, at.as))),
  labelIssue: verb(Where.extend({ label: z.string() }), (context, at) =>
    addLabel(context, issueAt(context.world, at), person(context.world, at.as), at.label),
  ),
  unlabelIssue: verb(Where.extend({ label: z.string() }), (context, at) =>
    removeLabel(context, issueAt(context.world, at), person(context.world, at.as), at.label),
  ),
  assignIssue: verb(Where.extend({ assignees: z.array(z.string()) }), async (context, at) => {
    const issue = issueAt(context.world, at);
    await assign(context, issue, person(context.world, at.as), at.assignees);
    return { assignees: issue.assignees.map((account) => account.login) };
  }),
  comment: verb(Where.extend({ body: z.string() }), (context, at) => {
    const author = { account: person(context.world, at.as), via: null };
    return { id: addComment(context, issueAt(context.world, at), author, at.body).id };
  }),
  editComment: verb(ById.extend({ body: z.string() }), (context, given) => {
    const comment = context.world.comments.find((known) => known.id === given.id);
    if (!comment) throw new ControlFailure(`no comment ${given.id}`);
    editComment(context, comment, person(context.world, given.as), given.body);
  }),
  pushCommit: verb(PushRequest, pushCommit),
  rerequestCheck: verb(ById, (context, given) => {
    const run = context.world.checkRuns.find((known) => known.id === given.id);
    if (!run) throw new ControlFailure(`no check run ${given.id}`);
    announceCheck(context, run, person(context.world, given.as), 'rerequested');
  }),
} as const;

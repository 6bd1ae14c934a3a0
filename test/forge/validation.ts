/**
 * Holds requests, answers and webhook payloads against GitHub's own description (`openapi.json`, see
 * `reduce-openapi.ts`). Schemas are compiled when first used, so that the forge starts fast.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { z } from 'zod';
import { ApiFailure } from './failure.ts';
import type { OperationName } from './served.ts';

const Schema = z.record(z.string(), z.unknown()).or(z.boolean());
const Operation = z.strictObject({
  id: z.string(),
  docs: z.string(),
  parameters: z.array(z.strictObject({ name: z.string(), in: z.string(), required: z.boolean(), schema: Schema })),
  body: z.strictObject({ required: z.boolean(), schema: Schema.nullable() }).nullable(),
  answers: z.record(z.string(), Schema.nullable()),
});
const Description = z.strictObject({
  source: z.strictObject({ package: z.string(), version: z.string(), file: z.string() }),
  operations: z.record(z.string(), Operation),
  webhooks: z.record(z.string(), Schema),
  schemas: z.record(z.string(), Schema),
});

const description = Description.parse(JSON.parse(readFileSync(path.join(import.meta.dirname, 'openapi.json'), 'utf8')));

const FORMATS = {
  uri: (text: string) => URL.canParse(text),
  'date-time': (text: string) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text),
  'uri-template': true,
  'repo.nwo': true,
  email: true,
  timestamp: true,
  int64: true,
  binary: true,
  url: true,
} as const;

const options = {
  strict: false,
  allErrors: false,
  formats: FORMATS,
  validateFormats: true,
  inlineRefs: false,
  code: { optimize: false },
} as const;
const bodies = new Ajv(options);
const parameters = new Ajv({ ...options, coerceTypes: true });
for (const ajv of [bodies, parameters]) ajv.addSchema({ $id: 'github', schemas: description.schemas });

const compiled = new Map<string, ValidateFunction>();
function compile(key: string, ajv: Ajv, schema: z.infer<typeof Schema>): ValidateFunction {
  const known = compiled.get(key);
  if (known) return known;
  const validate = ajv.compile(schema);
  compiled.set(key, validate);
  return validate;
}

function operationOf(name: OperationName): z.infer<typeof Operation> {
  const operation = description.operations[name];
  if (!operation) throw new Error(`${name} is not in openapi.json: run reduce-openapi.ts`);
  return operation;
}

export const docsOf = (name: OperationName) => operationOf(name).docs;
export const operationIdOf = (name: OperationName) => operationOf(name).id;

function complaint(validate: ValidateFunction, what: string): string {
  return bodies.errorsText(validate.errors, { dataVar: what });
}

/** @throws ApiFailure 422 for a request that does not fit the description. */
export function checkRequest(
  name: OperationName,
  params: Readonly<Record<string, string>>,
  query: URLSearchParams,
  body: unknown,
): void {
  const operation = operationOf(name);
  for (const place of ['path', 'query']) {
    const given = place === 'path' ? params : Object.fromEntries(query);
    const described = operation.parameters.filter((parameter) => parameter.in === place);
    const validate = compile(`${name} ${place}`, parameters, {
      type: 'object',
      properties: Object.fromEntries(described.map((parameter) => [parameter.name, parameter.schema])),
      required: described.filter((parameter) => parameter.required).map((parameter) => parameter.name),
    });
    if (!validate({ ...given })) throw new ApiFailure(422, `Invalid request.\n\n${complaint(validate, place)}`);
  }
  if (!operation.body?.schema) return;
  if (body === undefined) {
    if (operation.body.required) throw new ApiFailure(422, 'Invalid request.\n\nA body is required.');
    return;
  }
  const validate = compile(`${name} body`, bodies, operation.body.schema);
  if (!validate(body)) throw new ApiFailure(422, `Invalid request.\n\n${complaint(validate, 'body')}`);
}

/** What is wrong with an answer of the forge itself; null when it fits. Refusals have GitHub's one error shape. */
export function faultOfAnswer(name: OperationName, status: number, body: unknown): string | null {
  const { answers } = operationOf(name);
  if (status >= 400) return null;
  const schema = answers[String(status)];
  if (schema === undefined) return `status ${status} is not among ${Object.keys(answers).join(', ')}`;
  if (schema === null) return body === undefined || body === null ? null : 'a body where none is described';
  const validate = compile(`${name} ${status}`, bodies, schema);
  return validate(body) ? null : complaint(validate, 'answer');
}

/** What is wrong with a webhook payload; null when it fits. */
export function faultOfPayload(name: string, payload: unknown): string | null {
  const schema = description.webhooks[name];
  if (schema === undefined) return `${name} is not among the described webhooks`;
  const validate = compile(`webhook ${name}`, bodies, schema);
  return validate(payload) ? null : complaint(validate, 'payload');
}

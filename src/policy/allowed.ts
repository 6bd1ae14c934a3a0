import { z } from 'zod';

/** The little of JSON Schema that is needed to say what is allowed at a place. */
export interface Allowed {
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly items?: unknown;
  readonly additionalProperties?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly oneOf?: readonly unknown[];
  readonly description?: string;
}
const AllowedShape: z.ZodType<Allowed> = z.object({
  properties: z.record(z.string(), z.unknown()).exactOptional(),
  items: z.unknown().exactOptional(),
  additionalProperties: z.unknown().exactOptional(),
  enum: z.array(z.unknown()).exactOptional(),
  const: z.unknown().exactOptional(),
  default: z.unknown().exactOptional(),
  oneOf: z.array(z.unknown()).exactOptional(),
  description: z.string().exactOptional(),
});
const Keyed = z.record(z.string(), z.unknown());

/**
 * The part of a schema (as JSON Schema) that speaks about a place in a value. Where the schema is a choice between
 * objects that one key tells apart, the value says which of them was meant.
 */
export function allowedPart(schema: unknown, path: readonly PropertyKey[], value: unknown): Allowed {
  let at = value;
  let here = chosen(AllowedShape.safeParse(schema).data ?? {}, at);
  for (const key of path) {
    const next = typeof key === 'number' ? here.items : (here.properties?.[String(key)] ?? here.additionalProperties);
    const step = AllowedShape.safeParse(next).data;
    at = memberOf(at, key);
    // What has no schema of its own (a member of a union) is described by what holds it.
    if (step === undefined) return here;
    here = chosen({ ...(here.description === undefined ? {} : { description: here.description }), ...step }, at);
  }
  return here;
}

/** What is allowed at a place, for a person; empty where there is nothing to say. */
export const allowedText = (here: Allowed): string =>
  here.enum?.map(String).join(', ') ?? here.description ?? Object.keys(here.properties ?? {}).join(', ');

/** The kind of object that a value means to be, by its constants; where it means none, the kinds are listed. */
function chosen(here: Allowed, value: unknown): Allowed {
  if (here.oneOf === undefined) return here;
  const kinds = here.oneOf.flatMap((kind) => AllowedShape.safeParse(kind).data ?? []);
  const fitting = kinds.find((kind) =>
    constantsOf(kind).every(([name, constant]) => (memberOf(value, name) ?? constant.default) === constant.const),
  );
  if (fitting !== undefined) return fitting;
  const names = new Map<string, unknown[]>();
  for (const kind of kinds) {
    for (const [name, constant] of constantsOf(kind)) names.set(name, [...(names.get(name) ?? []), constant.const]);
  }
  return { properties: Object.fromEntries([...names].map(([name, constants]) => [name, { enum: constants }])) };
}

const constantsOf = (kind: Allowed): [name: string, constant: Allowed][] =>
  Object.entries(kind.properties ?? {}).flatMap(([name, property]): [string, Allowed][] => {
    const constant = AllowedShape.safeParse(property).data;
    return constant?.const === undefined ? [] : [[name, constant]];
  });

function memberOf(value: unknown, key: PropertyKey): unknown {
  if (Array.isArray(value)) return value[Number(key)];
  const keyed = Keyed.safeParse(value).data;
  return keyed !== undefined && Object.hasOwn(keyed, key) ? keyed[String(key)] : undefined;
}

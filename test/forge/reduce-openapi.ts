/**
 * Reduces GitHub's published OpenAPI description to the operations and webhooks that the forge serves.
 *
 *   npm pack @octokit/openapi          (in a folder outside the repository; unpack it there)
 *   node test/forge/reduce-openapi.ts FOLDER/package
 *
 * Examples, descriptions and whatever is not referenced are dropped, and OpenAPI 3.0's `nullable` becomes plain
 * JSON Schema, so that ajv can compile what is left.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { OPERATIONS, WEBHOOKS } from './served.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type JsonObject = { [key: string]: Json };

const DROPPED = new Set(['description', 'example', 'examples', 'externalDocs', 'title', 'deprecated', 'xml', 'discriminator']);

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const object = (value: Json | undefined): JsonObject => (isObject(value) ? value : {});
const list = (value: Json | undefined): Json[] => (Array.isArray(value) ? value : []);

/** Plain JSON Schema of an OpenAPI 3.0 schema; every component that it names is put into `wanted`. */
function reduceSchema(schema: Json, wanted: Set<string>): Json {
  if (Array.isArray(schema)) return schema.map((entry) => reduceSchema(entry, wanted));
  if (!isObject(schema)) return schema;
  const reduced: JsonObject = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'properties') {
      reduced[key] = Object.fromEntries(Object.entries(object(value)).map(([name, v]) => [name, reduceSchema(v, wanted)]));
    } else if (key === '$ref') {
      const name = String(value).replace('#/components/schemas/', '');
      wanted.add(name);
      reduced[key] = `github#/schemas/${name}`;
    } else if (key === 'enum' || key === 'required' || key === 'default') {
      reduced[key] = value;
    } else if (!DROPPED.has(key) && !key.startsWith('x-') && key !== 'nullable') {
      // GitHub's alternatives overlap, so that "exactly one" would refuse its own answers.
      reduced[key === 'oneOf' ? 'anyOf' : key] = reduceSchema(value, wanted);
    }
  }
  return schema['nullable'] === true ? orNull(reduced) : reduced;
}

function orNull(schema: JsonObject): Json {
  const values = list(schema['enum']);
  if (typeof schema['type'] !== 'string' || schema['anyOf'] || schema['allOf']) return { anyOf: [schema, { type: 'null' }] };
  return {
    ...schema,
    type: [schema['type'], 'null'],
    ...(values.length > 0 && !values.includes(null) ? { enum: [...values, null] } : {}),
  };
}

/**
 * Where the description contradicts itself: the list of installations asks of each account to be a user and an
 * enterprise at once, which the same installation alone does not.
 */
const CORRECTIONS: Readonly<Record<string, Json>> = {
  'GET /app/installations 200': { type: 'array', items: { $ref: '#/components/schemas/installation' } },
};

function main(folder: string): void {
  const version = z
    .object({ version: z.string() })
    .parse(JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'))).version;
  const file = 'generated/api.github.com.json';
  const description = object(JSON.parse(readFileSync(path.join(folder, file), 'utf8')));
  const components = object(description['components']);
  const resolve = (value: Json | undefined): JsonObject => {
    const given = object(value);
    if (typeof given['$ref'] !== 'string') return given;
    return given['$ref']
      .split('/')
      .slice(1)
      .reduce<JsonObject>((at, key) => object(at[key]), description);
  };
  const wanted = new Set<string>();
  const jsonSchemaOf = (content: Json | undefined): Json => {
    const schema = object(object(content)['application/json'])['schema'];
    return schema === undefined ? null : reduceSchema(schema, wanted);
  };

  const operations: JsonObject = {};
  for (const name of OPERATIONS) {
    const [method = '', template = ''] = name.split(' ');
    const operation = object(object(object(description['paths'])[template])[method.toLowerCase()]);
    if (operation['operationId'] === undefined) throw new Error(`${name} is not in the description`);
    const body = resolve(operation['requestBody']);
    operations[name] = {
      id: operation['operationId'],
      docs: object(operation['externalDocs'])['url'] ?? '',
      parameters: list(operation['parameters']).map((given) => {
        const parameter = resolve(given);
        return {
          name: parameter['name'] ?? '',
          in: parameter['in'] ?? '',
          required: parameter['required'] === true,
          schema: reduceSchema(parameter['schema'] ?? {}, wanted),
        };
      }),
      body: body['content'] === undefined ? null : { required: body['required'] === true, schema: jsonSchemaOf(body['content']) },
      answers: Object.fromEntries(
        Object.entries(object(operation['responses'])).map(([status, answer]) => [
          status,
          CORRECTIONS[`${name} ${status}`]
            ? reduceSchema(CORRECTIONS[`${name} ${status}`] ?? null, wanted)
            : jsonSchemaOf(resolve(answer)['content']),
        ]),
      ),
    };
  }
  const webhooks: JsonObject = {};
  for (const name of WEBHOOKS) {
    const hook = object(object(object(description['x-webhooks'])[name.replace(/[._]/g, '-')])['post']);
    if (hook['operationId'] === undefined) throw new Error(`webhook ${name} is not in the description`);
    webhooks[name] = jsonSchemaOf(resolve(hook['requestBody'])['content']);
  }
  const schemas: JsonObject = {};
  // The set grows while it is walked: what a component names is reduced in its turn.
  for (const name of wanted) schemas[name] = reduceSchema(object(components['schemas'])[name] ?? {}, wanted);

  const reduced = { source: { package: '@octokit/openapi', version, file }, operations, webhooks, schemas };
  const target = path.join(import.meta.dirname, 'openapi.json');
  writeFileSync(target, `${JSON.stringify(reduced)}\n`);
  process.stdout.write(`${target}: ${Object.keys(operations).length} operations, ${wanted.size} schemas\n`);
}

main(z.string().parse(process.argv[2]));

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DIALECTS } from '../../src/model/dialect.ts';
import { withoutGranted } from '../../src/model/refusal.ts';
import { VendorFeature } from '../../src/policy/vendor-features.ts';
import type { ModelDialect } from '../../src/task/work-order.ts';
import { ask, call, PATHS, startBoth } from './gateway.fixture.ts';

const block = (one: object) => ({ messages: [{ role: 'user', content: [one] }] });
const url = 'https://outside.test/x';

const ANTHROPIC: Readonly<Record<VendorFeature, readonly object[]>> = {
  web_fetch: [
    { tools: [{ type: 'web_fetch_20250910', name: 'web_fetch' }] },
    { tools: [{ type: 'web_search_20250305', name: 'web_search' }] },
    block({ type: 'server_tool_use', id: 'x', name: 'web_fetch', input: {} }),
    block({
      type: 'web_fetch_tool_result',
      tool_use_id: 'x',
      content: { type: 'web_fetch_result', url, content: { type: 'document', source: { type: 'text', data: 'y' } } },
    }),
  ],
  code_execution: [
    { tools: [{ type: 'code_execution_20250825', name: 'code_execution' }] },
    { container: 'container_1' },
    block({ type: 'server_tool_use', id: 'x', name: 'bash_code_execution', input: {} }),
    block({ type: 'code_execution_tool_result', tool_use_id: 'x', content: { type: 'code_execution_result', stdout: '' } }),
  ],
  remote_mcp: [
    { mcp_servers: [{ type: 'url', url, name: 'x' }] },
    { tools: [{ type: 'mcp_toolset', mcp_server_name: 'x' }] },
    block({ type: 'mcp_tool_use', id: 'x', name: 'y', server_name: 'x', input: {} }),
  ],
  url_inputs: [block({ type: 'image', source: { type: 'url', url } }), block({ type: 'document', source: { type: 'url', url } })],
  stored_files: [
    block({ type: 'document', source: { type: 'file', file_id: 'f' } }),
    block({ type: 'container_upload', file_id: 'f' }),
  ],
};
const OPENAI: Readonly<Record<VendorFeature, readonly object[]>> = {
  web_fetch: [{ web_search_options: {} }, { tools: [{ type: 'web_search' }] }],
  code_execution: [{ tools: [{ type: 'code_interpreter', container: { type: 'auto' } }] }],
  remote_mcp: [{ tools: [{ type: 'mcp', server_url: url }] }],
  url_inputs: [block({ type: 'image_url', image_url: { url } }), block({ type: 'file', file: { file_data: url } })],
  stored_files: [block({ type: 'file', file: { file_id: 'f' } }), { tools: [{ type: 'file_search' }] }],
};
const CASES: Readonly<Record<ModelDialect, typeof ANTHROPIC>> = { 'anthropic-messages': ANTHROPIC, 'openai-chat': OPENAI };
/** What no grant opens. */
const NEVER: Readonly<Record<ModelDialect, readonly object[]>> = {
  'anthropic-messages': [
    { tools: [{ type: 'teleport_20300101' }] },
    block({ type: 'server_tool_use', id: 'x', name: 'teleport' }),
    { store: true },
  ],
  'openai-chat': [
    { store: true },
    { plugins: [{ id: 'web' }] },
    block({ type: 'image_url', image_url: { url: 'file:///etc/passwd' } }),
  ],
};

for (const dialect of ['anthropic-messages', 'openai-chat'] as const) {
  const left = (body: object, granted: readonly VendorFeature[]) =>
    withoutGranted(DIALECTS[dialect].refused({ ...ask(body) }), new Set(granted)).length;

  test(`${dialect}: each feature passes by its own grant, and by no other`, () => {
    for (const feature of VendorFeature.options) {
      const others = VendorFeature.options.filter((other) => other !== feature);
      for (const body of CASES[dialect][feature]) {
        const shown = `${feature}: ${JSON.stringify(body)}`;
        assert.equal(left(body, [feature]), 0, shown);
        assert.ok(left(body, others) > 0, shown);
        assert.ok(left(body, []) > 0, shown);
      }
    }
    for (const body of NEVER[dialect]) assert.ok(left(body, VendorFeature.options) > 0, JSON.stringify(body));
  });

  test(`${dialect}: the gateway lets a granted feature through, and names the grant that another lacks`, async (t) => {
    const { gateway, model } = await startBoth(t, dialect, [{ text: 'hi' }], { features: ['remote_mcp', 'web_fetch'] });
    const granted = dialect === 'openai-chat' ? OPENAI.web_fetch[0] : ANTHROPIC.remote_mcp[0];
    const passed = await call(gateway.url + PATHS[dialect], ask(granted));
    assert.equal(passed.status, 200, passed.text);
    assert.equal((await model.requests()).length, 1);
    const refused = await call(gateway.url + PATHS[dialect], ask(CASES[dialect].url_inputs[0]));
    assert.equal(refused.status, 403);
    assert.match(refused.text, /The operator grants url_inputs under vendor_features of the model \\"granted-model\\"/);
    assert.equal((await model.requests()).length, 1);
  });
}

test('what a granted result holds is not opened again without its own grant', () => {
  const inner = { type: 'image', source: { type: 'url', url } };
  const body = ask(
    block({ type: 'web_fetch_tool_result', tool_use_id: 'x', content: { type: 'web_fetch_result', content: inner } }),
  );
  const refused = DIALECTS['anthropic-messages'].refused(body);
  assert.deepEqual(
    withoutGranted(refused, new Set<VendorFeature>(['web_fetch'])).map(({ feature }) => feature),
    ['url_inputs'],
  );
});

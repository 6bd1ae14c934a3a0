import { PassThrough, Readable } from 'node:stream';
import type Docker from 'dockerode';
import type { ExecOptions, ExecResult } from '../../src/sandbox/sandbox.ts';
import type { Teardown } from './cases.ts';
import { docker } from './docker.ts';

/** A container of any specification, with the little of a sandbox that probes need. Nothing of the product guards it. */
export class EngineSandbox {
  readonly id: string;
  readonly #container: Docker.Container;
  readonly #user: string | undefined;

  private constructor(container: Docker.Container, user: string | undefined) {
    this.id = container.id;
    this.#container = container;
    this.#user = user;
  }

  /** @param user who runs the commands, when that is not the container's user. */
  static async start(t: Teardown, options: Docker.ContainerCreateOptions, user?: string): Promise<EngineSandbox> {
    const Labels = { ...options.Labels, 'coatcheck.test': 'escape', 'coatcheck.pid': String(process.pid) };
    const container = await docker.createContainer({ ...options, Labels });
    t.after(async () => void (await container.remove({ force: true, v: true })));
    await container.start();
    return new EngineSandbox(container, user);
  }

  async run(command: readonly string[], stdin = ''): Promise<{ code: number; stdout: Buffer; output: string }> {
    const exec = await this.#container.exec({
      Cmd: [...command],
      ...(this.#user === undefined ? {} : { User: this.#user }),
      ...{ AttachStdin: true, AttachStdout: true, AttachStderr: true, WorkingDir: '/tmp' },
    });
    const stream = await exec.start({ hijack: true, stdin: true });
    const [out, err] = [new PassThrough(), new PassThrough()];
    docker.modem.demuxStream(stream, out, err);
    const [stdout, stderr] = [collect(out), collect(err)];
    stream.on('end', () => {
      out.end();
      err.end();
    });
    Readable.from([Buffer.from(stdin)]).pipe(stream);
    const both = await Promise.all([stdout, stderr]);
    const { ExitCode } = await exec.inspect();
    return { code: ExitCode ?? -1, stdout: both[0], output: Buffer.concat(both).toString() };
  }

  async exec({ command, stdin }: ExecOptions): Promise<ExecResult> {
    const began = performance.now();
    const { code, stdout, output } = await this.run(command, Buffer.isBuffer(stdin) ? stdin.toString() : '');
    return {
      ...{ end: 'exited', exitCode: code, stdout, stderr: Buffer.alloc(0), output, truncated: false, outputDigest: '' },
      ...{ command: 0, ms: performance.now() - began },
    };
  }
}

async function collect(stream: PassThrough): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

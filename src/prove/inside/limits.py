import resource, signal, time

limits = PARAMETERS['limits']


def processes():
    # Threads count like processes and cost less, so they take the most of it; the last ones are forks.
    import threading

    most, room, end = limits['processes'] + 200, 24, threading.Event()
    threads, children = [], []
    try:
        for _ in range(max(0, limits['processes'] - room)):
            thread = threading.Thread(target=end.wait, daemon=True)
            thread.start()
            threads.append(thread)
        while len(threads) + len(children) < most:
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            children.append(pid)
        report('processes', False, f'{len(threads)} threads and {len(children)} processes')
    except (OSError, RuntimeError) as error:
        count = len(threads) + len(children)
        why = name_of(error.errno) if isinstance(error, OSError) else error
        report('processes', len(threads) > 0 and count <= limits['processes'], f'{len(threads)} threads and {len(children)} processes, then {why}')
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)
        end.set()


def open_files():
    most, opened = limits['openFiles'] + 200, []
    try:
        for _ in range(most):
            opened.append(os.open('/dev/null', os.O_RDONLY))
    except OSError as error:
        report('open_files', len(opened) <= limits['openFiles'], f'{len(opened)} files, then {name_of(error.errno)}')
    else:
        report('open_files', False, f'{len(opened)} files')
    finally:
        for handle in opened:
            os.close(handle)


processes()
open_files()
for name, kind in {'raise_processes': resource.RLIMIT_NPROC, 'raise_files': resource.RLIMIT_NOFILE, 'raise_core': resource.RLIMIT_CORE}.items():
    def run(kind=kind):
        try:
            resource.setrlimit(kind, (1 << 20, 1 << 20))
        except ValueError as error:
            raise OSError(errno.EPERM, str(error))
        return resource.getrlimit(kind)

    attempt(name, lambda run=run: in_child(run))
attempt('realtime', lambda: in_child(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))))

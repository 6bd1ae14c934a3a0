# What every program that `prove` runs inside a sandbox begins with. Each attempt prints one JSON line:
# its name, whether it was stopped, and what was seen. Nothing here does harm where it succeeds: what could
# is only opened, never written, and calls that act are made with arguments that fail after the permission check.
import ctypes, errno, json, os, platform, socket, stat, struct, sys, tempfile

PARAMETERS = {}
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
ARM = platform.machine() == 'aarch64'


def report(name, stopped, seen):
    print(json.dumps({'name': name, 'stopped': bool(stopped), 'seen': str(seen)[:400]}), flush=True)


def name_of(number):
    return errno.errorcode.get(number, str(number))


def attempt(name, run):
    """Runs one attempt; an OSError means that it was stopped, anything that it returns is what it got."""
    try:
        got = run()
    except OSError as error:
        report(name, True, name_of(error.errno) if error.errno else error)
    except Exception as error:  # what is not understood is not a proof
        report(name, False, f'{type(error).__name__}: {error}')
    else:
        report(name, False, f'succeeded: {got}')


def check(result):
    """Turns a C call's -1 into an OSError."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def in_child(run):
    """Runs `run` in a child process and gives what it returned, or raises its OSError here."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = ['got', str(run())]
        except OSError as error:
            answer = ['errno', error.errno or 0]
        except BaseException as error:
            answer = ['odd', f'{type(error).__name__}: {error}']
        os.write(writer, json.dumps(answer).encode()[:4000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, 'rb') as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    if not text:
        raise RuntimeError('the child ended without an answer')
    kind, value = json.loads(text)
    if kind == 'errno':
        raise OSError(value, os.strerror(value))
    if kind == 'odd':
        raise RuntimeError(value)
    return value

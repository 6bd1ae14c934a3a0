NUMBERS = {
    # name: (x86_64, aarch64); the second is asm-generic/unistd.h
    'pivot_root': (155, 41), 'ptrace': (101, 117), 'process_vm_readv': (310, 270), 'kexec_load': (246, 104),
    'init_module': (175, 105), 'finit_module': (313, 273), 'delete_module': (176, 106), 'bpf': (321, 280),
    'perf_event_open': (298, 241), 'keyctl': (250, 219), 'userfaultfd': (323, 282), 'io_uring_setup': (425, 425),
    'open_by_handle_at': (304, 265), 'swapon': (167, 224), 'acct': (163, 89), 'pidfd_getfd': (438, 438),
    'open_tree': (428, 428), 'fsopen': (430, 430), 'mount_setattr': (442, 442), 'setns': (308, 268),
    'reboot': (169, 142), 'syslog': (103, 116), 'memfd_secret': (447, 447),
}
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWPID = 0x20000, 0x10000000, 0x40000000, 0x20000000
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18


def syscall(name, *arguments):
    number = NUMBERS[name][1 if ARM else 0]
    return check(libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]))


def mount(source, target, kind, flags=0):
    check(libc.mount(source, target, kind, ctypes.c_ulong(flags), None))
    return f'{kind or b"bind"} on {target}'


def open_for_writing(path):
    os.close(os.open(path, os.O_WRONLY))
    return f'{path} is open for writing'


def open_for_reading(path, count=64):
    handle = os.open(path, os.O_RDONLY)
    try:
        return f'{len(os.read(handle, count))} bytes of {path}'
    finally:
        os.close(handle)


def create(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))
    os.unlink(path)
    return f'{path} was made'


place = tempfile.mkdtemp(dir='/tmp').encode()


def kernel():
    buffer = ctypes.create_string_buffer(8192)
    size = syscall('syslog', 3, buffer, 8192)
    return buffer.raw[:size].decode(errors='replace')


try:
    first = kernel().splitlines()[0]
    report('kernel', 'Starting gVisor' in first, first)
except (OSError, IndexError) as problem:
    report('kernel', False, f'its log cannot be read: {problem}; {os.uname().release}')

# --- mounts and namespaces


def apart(run):
    # Where namespaces can be made, what succeeds stays in one that ends with the child.
    libc.unshare(CLONE_NEWNS)
    libc.mount(None, b'/', None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None)
    return run()


attempt('mount_tmpfs', lambda: in_child(lambda: apart(lambda: mount(b'none', place, b'tmpfs'))))
attempt('mount_proc', lambda: in_child(lambda: apart(lambda: mount(b'proc', place, b'proc'))))
attempt('mount_cgroup', lambda: in_child(lambda: apart(lambda: mount(b'cgroup', place, b'cgroup'))))
attempt('mount_bind', lambda: in_child(lambda: apart(lambda: mount(b'/', place, None, MS_BIND))))
attempt('remount_root', lambda: in_child(lambda: apart(lambda: mount(None, b'/', None, MS_REMOUNT | MS_BIND))))
attempt('unmount', lambda: in_child(lambda: apart(lambda: check(libc.umount2(b'/dev/shm', 2)))))
attempt('pivot_root', lambda: in_child(lambda: apart(lambda: mount(b'none', place, b'tmpfs') and syscall('pivot_root', place, place))))
attempt('new_mount_api', lambda: syscall('fsopen', b'tmpfs', 0))
attempt('chroot', lambda: in_child(lambda: apart(lambda: os.chroot(place))))
attempt('mount_namespace', lambda: in_child(lambda: check(libc.unshare(CLONE_NEWNS))))
attempt('network_namespace', lambda: in_child(lambda: check(libc.unshare(CLONE_NEWNET))))


def in_user_namespace():
    # A user namespace of one's own is no escape; what its capabilities reach outside of it would be.
    check(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS))
    try:
        mount(None, b'/', None, MS_REMOUNT | MS_BIND)
    except OSError:
        pass
    return create('/etc/coatcheck-prove')


attempt('user_namespace', lambda: in_child(in_user_namespace))


def join_namespace(kind):
    handle = os.open(f'/proc/1/ns/{kind}', os.O_RDONLY)
    return syscall('setns', handle, 0)


attempt('join_mount_namespace', lambda: in_child(lambda: join_namespace('mnt')))
attempt('join_network_namespace', lambda: in_child(lambda: join_namespace('net')))

# --- other processes
attempt('signal_init', lambda: os.kill(1, 0))


def relays():
    own = os.getuid()
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            if os.stat(f'/proc/{pid}').st_uid != own and pid != '1':
                found.append(int(pid))
        except OSError:
            pass
    return found


def to_relay(run):
    others = relays() or [1]
    return [run(pid) for pid in others]


attempt('signal_relay', lambda: to_relay(lambda pid: os.kill(pid, 0)))
# PTRACE_SEIZE: attaches without stopping anybody.
attempt('ptrace_init', lambda: in_child(lambda: syscall('ptrace', 0x4206, 1, 0, 0)))
attempt('ptrace_relay', lambda: in_child(lambda: to_relay(lambda pid: syscall('ptrace', 0x4206, pid, 0, 0))))
attempt('memory_of_init', lambda: os.close(os.open('/proc/1/mem', os.O_RDWR)) or 'open')
attempt('root_of_init', lambda: os.listdir('/proc/1/root'))


def peek():
    class Part(ctypes.Structure):
        _fields_ = [('base', ctypes.c_void_p), ('length', ctypes.c_size_t)]

    buffer = ctypes.create_string_buffer(8)
    local = Part(ctypes.addressof(buffer), 8)
    remote = Part(ctypes.addressof(buffer), 8)
    return syscall('process_vm_readv', 1, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)




def hosts_process():
    with open(f"/proc/{PARAMETERS['pid']}/cmdline", 'rb') as file:
        words = file.read()
    if PARAMETERS['mark'].encode() not in words:
        raise OSError(errno.ESRCH, 'another process has this number')
    return words


attempt('process_of_host', hosts_process)

# --- the kernel's own files
for name, path in {
    'core_pattern': '/proc/sys/kernel/core_pattern',
    'modprobe_path': '/proc/sys/kernel/modprobe',
    'sysrq': '/proc/sysrq-trigger',
    'overcommit': '/proc/sys/vm/overcommit_memory',
    'ip_forward': '/proc/sys/net/ipv4/ip_forward',
    'binfmt_misc': '/proc/sys/fs/binfmt_misc/register',
    'uevent_helper': '/sys/kernel/uevent_helper',
    'apparmor': '/sys/kernel/security/apparmor/.load',
    'protect_from_oom': '/proc/1/oom_score_adj',
}.items():
    attempt(name, lambda path=path: open_for_writing(path))


def release_agent():
    for folder, _, files in os.walk('/sys/fs/cgroup'):
        if 'release_agent' in files:
            return open_for_writing(os.path.join(folder, 'release_agent'))
    raise OSError(errno.ENOENT, 'there is none')


attempt('release_agent', release_agent)


def cgroup_of_own():
    made = []
    for folder in ['/sys/fs/cgroup', *('/sys/fs/cgroup/' + name for name in os.listdir('/sys/fs/cgroup'))]:
        try:
            os.mkdir(folder + '/coatcheck-prove')
            os.rmdir(folder + '/coatcheck-prove')
            made.append(folder)
        except OSError:
            pass
    if not made:
        raise OSError(errno.EACCES, 'nowhere')
    return made


attempt('cgroup_of_own', cgroup_of_own)
for name, path in {
    'kcore': '/proc/kcore', 'dev_mem': '/dev/mem', 'dev_kmsg': '/dev/kmsg', 'dev_kvm': '/dev/kvm', 'dev_fuse': '/dev/fuse',
    'dev_loop': '/dev/loop-control', 'firmware': '/sys/firmware/acpi/tables/DSDT',
    'debugfs': '/sys/kernel/debug/sched', 'efivars': '/sys/firmware/efi/efivars', 'kernel_symbols': '/proc/kallsyms',
}.items():
    attempt(name, lambda path=path: open_for_reading(path))


def disks():
    found = [name for name in os.listdir('/dev') if stat.S_ISBLK(os.stat('/dev/' + name).st_mode)]
    if not found:
        raise OSError(errno.ENOENT, 'there is none')
    return found


attempt('disks', disks)


def device(name, kind, number):
    # gVisor lets anybody make a node; what counts is whether a device of the host is behind it.
    os.mknod(place + name, 0o600 | kind, number)
    os.close(os.open(place + name, os.O_RDONLY))
    return 'open'


attempt('make_device', lambda: device(b'/mem', stat.S_IFCHR, os.makedev(1, 1)))
attempt('make_disk', lambda: device(b'/disk', stat.S_IFBLK, os.makedev(7, 0)))

# --- calls that need a privilege; where it is there, their arguments fail with another error than EPERM


def privileged(name, run, without=(errno.EPERM, errno.ENOSYS, errno.EACCES, errno.ENODEV, errno.ENOTSUP)):
    try:
        got = run()
    except OSError as error:
        report(name, error.errno in without, name_of(error.errno))
    else:
        report(name, False, f'succeeded: {got}')


privileged('kexec', lambda: syscall('kexec_load', 0, 1 << 20, 0, 0))
privileged('reboot', lambda: syscall('reboot', 0, 0, 0, 0))
privileged('load_module', lambda: syscall('init_module', 0, 0, b''))
privileged('load_module_file', lambda: syscall('finit_module', -1, b'', 0))
privileged('unload_module', lambda: syscall('delete_module', b'coatcheck-prove', 0))
privileged('bpf', lambda: syscall('bpf', 5, ctypes.create_string_buffer(128), 128))
privileged('perf_events', lambda: syscall('perf_event_open', ctypes.create_string_buffer(128), -1, 0, -1, 0))
privileged('swap', lambda: syscall('swapon', b'/coatcheck-prove', 0))
privileged('accounting', lambda: syscall('acct', b'/coatcheck-prove'))
privileged('open_by_handle', lambda: syscall('open_by_handle_at', -100, struct.pack('=Ii8s', 8, 1, b'\0' * 8), 0))
privileged('host_name', lambda: in_child(lambda: check(libc.sethostname(ctypes.c_void_p(0), ctypes.c_size_t(1 << 20)))))
privileged('userfaultfd', lambda: syscall('userfaultfd', 0))
privileged('io_uring', lambda: syscall('io_uring_setup', 1, ctypes.create_string_buffer(128)))
# KEYCTL_GET_KEYRING_ID of the user's own keyring, made when it is not there.
privileged('kernel_keys', lambda: syscall('keyctl', 0, -4, 1, 0, 0))

# Past the permission, these two meet a running program and an address that is not there.
privileged('program_of_init', lambda: open_for_writing('/proc/1/exe'))
privileged('read_memory_of_init', peek)

# --- identity


def capabilities():
    with open('/proc/self/status') as file:
        sets = dict(line.split(':', 1) for line in file if line.startswith('Cap'))
    return {name: value.strip() for name, value in sets.items()}


found = capabilities()
report('capabilities', found and all(int(value, 16) == 0 for value in found.values()), found)
report('no_new_privileges', libc.prctl(39, 0, 0, 0, 0) == 1, f'PR_GET_NO_NEW_PRIVS {libc.prctl(39, 0, 0, 0, 0)}')
report('user', os.getuid() >= 1000 and os.getgroups() in ([], [os.getgid()]), f'{os.getuid()}:{os.getgid()} {os.getgroups()}')
attempt('become_root', lambda: in_child(lambda: os.setresuid(0, 0, 0)))
attempt('become_relay', lambda: in_child(lambda: os.setresuid(990, 990, 990)))
attempt('drop_groups', lambda: in_child(lambda: os.setgroups([0])))


def setuid_programs():
    import subprocess

    tried = []
    for program in (['su', '-c', 'id -u', 'root'], ['sudo', '-n', 'id', '-u'], ['mount', '-t', 'tmpfs', 'none', place.decode()],
                    ['newgrp', 'root'], ['pkexec', 'id', '-u']):
        try:
            done = subprocess.run(program, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.stdout.strip() == '0' or (program[0] == 'mount' and done.returncode == 0):
            tried.append(program[0])
    if not tried:
        raise OSError(errno.EPERM, 'none')
    return tried


attempt('setuid_programs', setuid_programs)

# --- the file system
for name, path in {
    'write_root': '/coatcheck-prove', 'write_etc': '/etc/coatcheck-prove', 'write_usr': '/usr/bin/coatcheck-prove',
    'write_run': '/run/coatcheck-prove', 'write_door': '/run/coatcheck/coatcheck-prove', 'write_trust': '/run/trust/coatcheck-prove',
}.items():
    attempt(name, lambda path=path: create(path))
attempt('write_passwd', lambda: open_for_writing('/etc/passwd'))
attempt('write_authorities', lambda: open_for_writing('/run/trust/authorities.pem'))


def through_link():
    link = place + b'/link'
    os.symlink('/etc/shadow', link)
    return open_for_writing(link)


attempt('write_through_link', through_link)
attempt('hard_link', lambda: os.link('/etc/shadow', '/etc/coatcheck-prove') or os.unlink('/etc/coatcheck-prove'))
attempt('read_shadow', lambda: open_for_reading('/etc/shadow'))


def race():
    # A link that flips between a harmless file and a forbidden one while it is opened for writing.
    import threading

    good, flip, done = place + b'/good', place + b'/flip', threading.Event()
    open(good, 'w').close()
    os.symlink(good, flip)

    def swap():
        while not done.is_set():
            for target in ('/etc/passwd', good):
                os.symlink(target, flip + b'.new')
                os.rename(flip + b'.new', flip)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(300):
            try:
                handle = os.open(flip, os.O_WRONLY)
            except OSError:
                continue
            try:
                if os.fstat(handle).st_ino == os.stat('/etc/passwd').st_ino and os.fstat(handle).st_dev == os.stat('/etc/passwd').st_dev:
                    return '/etc/passwd is open for writing'
            finally:
                os.close(handle)
    finally:
        done.set()
        thread.join()
    raise OSError(errno.EACCES, 'never')


attempt('link_race', race)


def replace_door():
    os.rename('/run/coatcheck/door.sock', '/run/coatcheck/door.old')
    os.rename('/run/coatcheck/door.old', '/run/coatcheck/door.sock')
    return 'moved'


attempt('replace_door', replace_door)
attempt('remove_door', lambda: os.unlink('/run/coatcheck/door.sock'))


def second_socket():
    with socket.socket(socket.AF_UNIX) as server:
        server.bind('/run/coatcheck/second.sock')
    return 'bound'


attempt('second_socket', second_socket)
attempt('file_of_host', lambda: open_for_reading(PARAMETERS['file']))


def mounts():
    with open('/proc/mounts') as file:
        found = [line.split()[1:4] for line in file]
    writable = sorted(place for place, kind, options in found
                      if 'rw' in options.split(',') and kind not in ('proc', 'sysfs', 'devpts', 'mqueue', 'devtmpfs', 'cgroup'))
    return found, writable


found, writable = mounts()
allowed = {'/work', '/tmp', '/run', '/dev', '/dev/shm', '/sys/fs/cgroup'}
odd = [place for place in writable if place not in allowed]
report('writable_mounts', not odd, ' '.join(odd) or 'only ' + ' '.join(writable))

# Datagram sockets are "connected" to addresses outside: that sends nothing, and fails where there is no route.


def answer(connection):
    connection.settimeout(3)
    connection.sendall(b'prove\n')
    got = connection.recv(100)
    if not got:
        raise OSError(errno.ECONNRESET, 'nothing came back')
    return got


def over_tcp(address, port):
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(3)
        connection.connect((address, port))
        return answer(connection)


def over_udp(address, port):
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as connection:
        connection.connect((address, port))
        return answer(connection)


def route_to(address, port=53):
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as connection:
        connection.connect((address, port))
        return f'from {connection.getsockname()[0]}'


def any_of(run, choices):
    """The first that succeeds; an OSError naming all that failed."""
    if not choices:
        raise OSError(errno.EADDRNOTAVAIL, 'the host has none')
    failed = []
    for choice in choices:
        try:
            return f'{choice}: {run(choice)}'
        except OSError as error:
            failed.append(name_of(error.errno) if error.errno else str(error))
    raise OSError(0, f"{len(failed)} tried: {' '.join(sorted(set(failed)))}")


def over_tls(port):
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(('127.0.0.1', port), timeout=3) as connection:
        with context.wrap_socket(connection, server_hostname='sink.canary.test') as secure:
            secure.sendall(b'GET /direct HTTP/1.0\r\n\r\n')
            return secure.recv(15)


addresses, ports = PARAMETERS['addresses'], PARAMETERS['ports']
four = [address for address in addresses if ':' not in address]
six = [address for address in addresses if ':' in address]


def attempt_all(name, run, choices):
    try:
        report(name, False, f'succeeded: {any_of(run, choices)}')
    except OSError as error:
        report(name, True, error.strerror or error)
    except Exception as error:
        report(name, False, f'{type(error).__name__}: {error}')


attempt_all('tcp_to_host', lambda address: over_tcp(address, ports['tcp']), four)
attempt_all('tcp_to_host_ipv6', lambda address: over_tcp(address, ports['tcp6']), six or ['::1'])
attempt_all('tcp_to_loopback_of_host', lambda address: over_tcp(address, ports['tcp']), ['127.0.0.1', '127.0.0.2', '0.0.0.0'])
attempt_all('udp_to_host', lambda address: over_udp(address, ports['udp']), four)
attempt_all('outside_directly', over_tls, [ports['outside']])
attempt('route', lambda: route_to('198.51.100.1', 443))
attempt('route_ipv6', lambda: route_to('2001:db8::1', 443))
attempt('route_to_metadata', lambda: route_to('169.254.169.254', 80))
attempt('route_to_metadata_ipv6', lambda: route_to('fd00:ec2::254', 80))
attempt('route_to_bridge', lambda: route_to('172.17.0.1', 53))
attempt_all('route_to_private', lambda address: route_to(address, 443), ['10.0.0.1', '172.16.0.1', '192.168.0.1', '100.64.0.1'])


def broadcast():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        connection.connect(('255.255.255.255', 67))
        return f'from {connection.getsockname()[0]}'


attempt('broadcast', broadcast)


def multicast():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
        connection.connect(('224.0.0.251', 5353))
        return f'from {connection.getsockname()[0]}'


attempt('multicast', multicast)


def interfaces():
    return [name for _, name in socket.if_nameindex()]


report('interfaces', interfaces() in (['lo'], []), interfaces())


def routes():
    with open('/proc/net/route') as file:
        return [line.split()[0] for line in file.readlines()[1:] if line.split() and line.split()[0] != 'lo']


try:
    report('routes', routes() == [], routes())
except OSError as error:
    report('routes', True, name_of(error.errno))

# --- names


def name_servers():
    try:
        with open('/etc/resolv.conf') as file:
            return [line.split()[1] for line in file if line.startswith('nameserver') and len(line.split()) > 1]
    except OSError:
        return []


attempt_all('name_servers', lambda address: route_to(address), name_servers() or ['127.0.0.11'])


def docker_resolver():
    question = b'\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x06canary\x04test\x00\x00\x01\x00\x01'
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(1)
        connection.connect(('127.0.0.11', 53))
        connection.send(question)
        return connection.recv(512)


attempt('docker_resolver', docker_resolver)


def resolve():
    # Asked only where no name server has a route, so that a weak sandbox sends no question to anybody.
    for address in name_servers():
        try:
            route_to(address)
        except OSError:
            continue
        return f'not asked: there is a route to {address}'
    try:
        return socket.getaddrinfo('canary.test', 443)
    except socket.gaierror as error:
        raise OSError(0, f'EAI {error.errno}')


attempt('resolve', resolve)

# --- below TCP and UDP
attempt('raw_socket', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close())
attempt('raw_socket_ipv6', lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6).close())
attempt('packet_socket', lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)).close())


def ping():
    target = (PARAMETERS['addresses'] or ['127.0.0.1'])[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as connection:
        connection.settimeout(1)
        connection.sendto(b'\x08\x00\xf7\xff\x00\x00\x00\x00', (target, 0))
        return connection.recv(64)


attempt('ping', ping)


# NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL: see netlink(7).
CREATE = 0x605


def netlink(message_type, body):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as connection:
        connection.bind((0, 0))
        connection.settimeout(2)
        connection.send(struct.pack('=IHHII', 16 + len(body), message_type, CREATE, 1, 0) + body)
        code = struct.unpack_from('=i', connection.recv(4096), 16)[0]
    if code < 0:
        raise OSError(-code, os.strerror(-code))
    return f'netlink answered {code}'


NAME = b'prove0\0\0'
DUMMY = struct.pack('=HH', 4 + 6, 1) + b'dummy\0\0\0'
LINK = struct.pack('=BBHiII', 0, 0, 0, 0, 0, 0) + struct.pack('=HH', 4 + 7, 3) + NAME + struct.pack('=HH', 4 + len(DUMMY), 18) + DUMMY


attempt('add_interface', lambda: netlink(16, LINK))
attempt('add_address', lambda: netlink(20, struct.pack('=BBBBi', 2, 24, 0, 0, 1) + struct.pack('=HH4s', 8, 2, socket.inet_aton('10.99.99.1'))))
attempt('add_route', lambda: netlink(24, struct.pack('=BBBBBBBBI', 2, 32, 0, 0, 254, 3, 253, 1, 0) +
                                     struct.pack('=HH4s', 8, 1, socket.inet_aton('198.51.100.9')) + struct.pack('=HHi', 8, 4, 1)))


def tunnel_device():
    import fcntl

    handle = os.open('/dev/net/tun', os.O_RDWR)
    fcntl.ioctl(handle, 0x400454CA, struct.pack('16sH22x', b'prove1', 0x1001))
    return 'made'


attempt('tunnel_device', tunnel_device)


def to_vm_host():
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as connection:
        connection.settimeout(2)
        connection.connect((2, 1024))
        return 'connected'


attempt('vm_socket', to_vm_host)

# --- sockets of the host


def over_unix(address):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(3)
        connection.connect(address)
        return answer(connection)


attempt('abstract_socket', lambda: over_unix('\0' + PARAMETERS['abstract']))
attempt('socket_of_host', lambda: over_unix(PARAMETERS['socket']))
for name, paths in {
    'docker_socket': ['/var/run/docker.sock', '/run/docker.sock'],
    'containerd_socket': ['/run/containerd/containerd.sock', '/run/docker/containerd/containerd.sock', '/var/run/containerd/containerd.sock'],
    'other_engines': ['/run/crio/crio.sock', '/run/podman/podman.sock', '/run/buildkit/buildkitd.sock'],
    'system_bus': ['/run/dbus/system_bus_socket', '/run/systemd/private', '/run/systemd/journal/stdout', '/dev/log'],
    'agent_sockets': [os.environ.get('SSH_AUTH_SOCK', '/run/ssh-agent'), '/run/user/0/gnupg/S.gpg-agent', '/run/user/1000/bus'],
}.items():
    def connect(path):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            connection.connect(path)
            connection.sendall(b'GET /_ping HTTP/1.0\r\n\r\n')
            return connection.recv(15)

    attempt_all(name, connect, paths)


def sockets():
    found = []
    for top in ('/run', '/var', '/tmp', '/work', '/dev', '/etc', '/srv', '/opt', '/mnt', '/home', '/root'):
        for folder, folders, files in os.walk(top):
            for name in files:
                path = os.path.join(folder, name)
                try:
                    if stat.S_ISSOCK(os.lstat(path).st_mode):
                        found.append(path)
                except OSError:
                    pass
    return sorted(set(found))


found = sockets()
report('only_the_door', [path for path in found if not path.endswith('/run/coatcheck/door.sock')] == [], found)


def listening():
    with open('/proc/net/tcp') as file:
        return [int(line.split()[1].split(':')[1], 16) for line in file.readlines()[1:] if line.split()[3] == '0A']


report('only_the_relay_listens', set(listening()) <= set(PARAMETERS['listens']), sorted(set(listening())))


def abstract_names():
    with open('/proc/net/unix') as file:
        return sorted({line.split()[-1] for line in file if line.split()[-1].startswith('@')})


try:
    report('abstract_names', abstract_names() == [], abstract_names())
except OSError as error:
    report('abstract_names', True, name_of(error.errno))

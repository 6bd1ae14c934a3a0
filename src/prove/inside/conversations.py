# Speaks with the door through the relay, byte by byte as it is told, and prints what came back.
import ssl, time

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CONTEXT.check_hostname = False
CONTEXT.verify_mode = ssl.CERT_NONE


def status(text):
    words = text.split(' ', 2)
    return int(words[1]) if text.startswith('HTTP/') and len(words) > 1 and words[1].isdigit() else None


def until_closed(connection, most=20000):
    got = b''
    try:
        while len(got) < most:
            chunk = connection.recv(65536)
            if not chunk:
                break
            got += chunk
    except (OSError, ssl.SSLError) as error:
        if not got:
            return f'{type(error).__name__}'
    return got.decode('latin1')


def until_head(connection):
    got = b''
    while b'\r\n\r\n' not in got:
        chunk = connection.recv(65536)
        if not chunk:
            break
        got += chunk
    return got.decode('latin1')


def hello_in_pieces(connection, name):
    """A TLS hello whose one handshake message is spread over many records."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    machine = CONTEXT.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        machine.do_handshake()
    except ssl.SSLWantReadError:
        pass
    record = outgoing.read()
    head, body = record[:3], record[5:]
    for start in range(0, len(body), 40):
        piece = body[start:start + 40]
        connection.sendall(head + struct.pack('>H', len(piece)) + piece)

    def pump():
        data = outgoing.read()
        if data:
            connection.sendall(data)

    def turn(step):
        while True:
            try:
                value = step()
                pump()
                return value
            except ssl.SSLWantReadError:
                pump()
                chunk = connection.recv(65536)
                if not chunk:
                    raise OSError(errno.ECONNRESET, 'closed in the handshake')
                incoming.write(chunk)

    turn(machine.do_handshake)
    return machine, turn


def talk(one):
    with socket.create_connection(('127.0.0.1', PARAMETERS['relay']), timeout=one.get('wait', 5)) as connection:
        connection.sendall(one['send'].encode('latin1'))
        tunnel = one.get('tunnel')
        if tunnel is None:
            text = until_closed(connection)
            return {'status': status(text), 'text': text}
        opened = until_head(connection)
        if status(opened) != 200:
            return {'status': status(opened), 'text': opened}
        if tunnel.get('raw') is not None:
            connection.sendall(tunnel['raw'].encode('latin1'))
            text = until_closed(connection)
            return {'status': status(text), 'text': text}
        if tunnel.get('pieces'):
            machine, turn = hello_in_pieces(connection, tunnel['name'])
            turn(lambda: machine.write(tunnel['send'].encode('latin1')))
            got = b''
            try:
                while len(got) < 20000:
                    chunk = turn(lambda: machine.read(65536))
                    if not chunk:
                        break
                    got += chunk
            except (OSError, ssl.SSLError):
                pass
            text = got.decode('latin1')
            return {'status': status(text), 'text': text}
        with CONTEXT.wrap_socket(connection, server_hostname=tunnel['name']) as secure:
            secure.sendall(tunnel['send'].encode('latin1'))
            text = until_closed(secure)
            return {'status': status(text), 'text': text}


for one in PARAMETERS['conversations']:
    begun = time.monotonic()
    try:
        came = talk(one)
    except (OSError, ssl.SSLError) as error:
        came = {'status': None, 'text': f'{type(error).__name__}: {error}'}
    print(json.dumps({'name': one['name'], 'status': came['status'], 'text': came['text'][:2000], 'ms': round((time.monotonic() - begun) * 1000)}), flush=True)

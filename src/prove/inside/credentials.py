# The values to look for come reversed, so that neither this program nor its parameters hold them.
import re

VALUES = {name: value[::-1] for name, value in PARAMETERS['reversed'].items()}
OWN = {str(os.getpid()), str(os.getppid())}
ENVIRONMENT = {
    'HOME', 'USER', 'LANG', 'TMPDIR', 'CI', 'PATH', 'HOSTNAME', 'PWD', 'SHLVL', '_', 'OLDPWD', 'TERM', 'LC_CTYPE', 'LC_ALL',
    'HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy', 'NO_PROXY', 'no_proxy', 'COATCHECK_COMMAND',
    'npm_config_cache', 'PIP_CACHE_DIR', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'GIT_SSL_CAINFO', 'CURL_CA_BUNDLE',
    'REQUESTS_CA_BUNDLE', 'PIP_CERT', 'npm_config_cafile', 'CARGO_HTTP_CAINFO', 'npm_package_config_node_gyp_nodedir',
    'npm_config_update_notifier', 'npm_config_fund', 'npm_config_audit', 'PIP_BREAK_SYSTEM_PACKAGES',
    'PIP_DISABLE_PIP_VERSION_CHECK', 'DEBIAN_FRONTEND',
}
SECRET = re.compile(r'(?i)token|secret|passw|credential|api_?key|private_?key|_auth$|^aws_|^gcp_|^azure_')


def read(path, limit=4 << 20):
    try:
        with open(path, 'rb') as file:
            return file.read(limit)
    except OSError:
        return b''


def processes(kind):
    return {pid: read(f'/proc/{pid}/{kind}') for pid in os.listdir('/proc') if pid.isdigit()}


def holders(texts, values):
    return sorted({f'{name} in {where}' for where, text in texts.items() for name, value in values.items() if value.encode() in text})


def files(tops, limit=4 << 20):
    for top in tops:
        for folder, folders, names in os.walk(top):
            folders[:] = [name for name in folders if not os.path.islink(os.path.join(folder, name))]
            for name in names:
                path = os.path.join(folder, name)
                try:
                    status = os.lstat(path)
                except OSError:
                    continue
                if stat.S_ISREG(status.st_mode) and status.st_size <= limit:
                    yield path


# The same search has to find what is there.
planted = 'planted-' + os.urandom(12).hex()
with open('/tmp/planted', 'w') as file:
    file.write(planted)
everything = {path: read(path) for path in files(['/work', '/tmp', '/run', '/etc', '/home', '/root', '/var', '/opt', '/srv', '/mnt', '/dev/shm', '/usr/local/etc', '/usr/local/share', '/usr/local/lib/coatcheck'])}
report('control', '/tmp/planted' in everything and planted.encode() in everything['/tmp/planted'], f'{len(everything)} files were read')

unknown = sorted(set(os.environ) - ENVIRONMENT)
named = [name for name in os.environ if SECRET.search(name)]
report('environment_names', not unknown and not named, ' '.join(unknown + named) or f'{len(os.environ)} known names')
found = holders(processes('environ'), VALUES)
report('environments', not found, found or f"{len(processes('environ'))} processes")
found = holders(processes('cmdline'), VALUES)
report('command_lines', not found, found or f"{len(processes('cmdline'))} processes")
found = holders(everything, VALUES)
report('files', not found, found or f'{len(everything)} files')
keys = sorted(path for path, text in everything.items() if re.search(rb'-----BEGIN [A-Z ]*PRIVATE KEY-----', text))
report('private_keys', not keys, keys or f'{len(everything)} files')
kept = [path for path in everything if re.search(r'/(\.netrc|\.git-credentials|\.npmrc|\.pypirc|\.docker/config\.json|\.ssh/id_\w+|\.aws/credentials|\.config/gh/hosts\.yml|\.kube/config)$', path)]
report('credential_files', not kept, kept or 'none')
tokens = re.compile(rb'gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|sk-ant-[\w-]{20,}|cc[am]_[A-Za-z0-9_-]{40,}')
found = [path for path, text in everything.items() if tokens.search(text)]
report('token_shapes', not found, found or f'{len(everything)} files')
try:
    with open('/proc/keys') as file:
        keys = [line for line in file]
    report('kernel_key_list', keys == [], keys)
except OSError as error:
    report('kernel_key_list', True, name_of(error.errno))
bundle = read(os.environ.get('SSL_CERT_FILE', '/run/trust/authorities.pem'))
report('authority', bundle.count(b'BEGIN CERTIFICATE') > 0 and b'PRIVATE KEY' not in bundle, f"{bundle.count(b'BEGIN CERTIFICATE')} certificates, no key" if b'PRIVATE KEY' not in bundle else 'its key is there')
os.unlink('/tmp/planted')

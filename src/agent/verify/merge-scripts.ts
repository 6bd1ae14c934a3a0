import { PACKAGE_JSON_DEFINITIONS, PYPROJECT_DEPENDENCIES } from '../../policy/yardstick.ts';

/**
 * Both scripts read `{base, path}` on stdin, put the base's definitions into the change's file at `path`, and print
 * `kept` when that changes nothing, else `merged`. A file that cannot be merged is replaced by the base's as a whole.
 * They run in the fresh sandbox: what the change wrote is never read outside.
 */
export const MERGE_PACKAGE_JSON = `
import json, sys
KEYS = ${JSON.stringify(PACKAGE_JSON_DEFINITIONS)}
ask = json.load(sys.stdin.buffer)
base_text, path = ask["base"], ask["path"]
try:
    base = json.loads(base_text)
    with open(path, encoding="utf-8") as file: own = json.load(file)
    if not isinstance(base, dict) or not isinstance(own, dict): raise ValueError
except (ValueError, OSError, RecursionError):
    base, own = None, None
if own is not None and all(own.get(key) == base.get(key) and (key in own) == (key in base) for key in KEYS):
    print("kept"); sys.exit()
if own is None:
    text = base_text
else:
    merged = {key: value for key, value in own.items() if key not in KEYS}
    merged.update({key: base[key] for key in KEYS if key in base})
    text = json.dumps(merged, indent=2, ensure_ascii=False) + "\\n"
with open(path, "w", encoding="utf-8") as file: file.write(text)
print("merged")
`;

/**
 * There is no TOML writer in Python's own library, so tables are moved as text: the base's \`tool\` tables in place of the
 * change's, dependencies aside. Then both are parsed, and where the definitions do not come out equal, the base's file is taken.
 */
export const MERGE_PYPROJECT = `
import fnmatch, json, os, re, sys, tomllib
DEPENDENCIES = ${JSON.stringify(PYPROJECT_DEPENDENCIES)}
ask = json.load(sys.stdin.buffer)
base_text, path = ask["base"], ask["path"]

def is_dependency(parts):
    return any(len(parts) >= len(rule) and all(r == "*" or r == p for r, p in zip(rule, parts)) for rule in (d.split(".") for d in DEPENDENCIES))

def definitions(table, parts=()):
    return {k: definitions(v, parts + (k,)) if isinstance(v, dict) else v for k, v in table.items()
            if not is_dependency(parts + (k,)) and not (isinstance(v, dict) and not definitions(v, parts + (k,)))}

def blocks(text):
    found = [["", []]]
    for line in text.splitlines(keepends=True):
        header = re.match(r"\\s*\\[\\[?([^\\]]+)\\]\\]?\\s*(#.*)?$", line)
        if header: found.append([header.group(1).strip(), []])
        found[-1][1].append(line)
    return [(re.sub(r"[\\s\\"']", "", name).split("."), "".join(lines)) for name, lines in found]

def is_definition(parts):
    return parts[0] == "tool" and not is_dependency(parts[1:])

def ended(text):
    return text if text == "" or text.endswith("\\n") else text + "\\n"

text = base_text
try:
    with open(path, encoding="utf-8") as file: own_text = file.read()
    wanted = definitions(tomllib.loads(base_text).get("tool", {}))
    own = tomllib.loads(own_text)
    if definitions(own.get("tool", {})) == wanted:
        print("kept"); sys.exit()
    merged = "".join(ended(t) for p, t in blocks(own_text) if not is_definition(p)) + "".join(ended(t) for p, t in blocks(base_text) if is_definition(p))
    result = tomllib.loads(merged)
    rest = lambda doc: {k: v for k, v in doc.items() if k != "tool"}
    if definitions(result.get("tool", {})) == wanted and rest(result) == rest(own): text = merged
except (ValueError, OSError, AttributeError, RecursionError):
    pass
with open(path, "w", encoding="utf-8") as file: file.write(text)
print("merged")
`;

/**
 * Python for any interpreter from 3.8: reads `C` (ResolutionInput) and prints where the names that judge are found, with digests,
 * as JSON. It imports modules of the standard library only, and nothing that it looks at is ever executed.
 */
export const resolutionSource = String.raw`
import sys, os, re, stat
import importlib.machinery
try:
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b
SUFFIXES = importlib.machinery.all_suffixes()
LEFT_OUT = {'test', 'idlelib', 'turtledemo', '__pycache__', '__main__'}
join, isdir, islink = os.path.join, os.path.isdir, os.path.islink

def digest(path):
    try:
        text = 'link:' + os.readlink(path) + ':' if islink(path) else ''
        kind = os.stat(path).st_mode
        if stat.S_ISDIR(kind):
            return text + 'directory'
        if not stat.S_ISREG(kind):
            return text + 'special'
        sum = blake2b(digest_size=16)
        with open(path, 'rb') as file:
            for part in iter(lambda: file.read(1 << 20), b''):
                sum.update(part)
        return text + sum.hexdigest()
    except OSError as error:
        return 'error:' + type(error).__name__

def listed(folder):
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []

def tree(top, out):
    if not isdir(top):
        out[top] = digest(top)
        return
    if islink(top):
        out[top] = digest(top)
    for folder, folders, files in os.walk(top):
        for name in files + [f for f in folders if islink(join(folder, f))]:
            out[join(folder, name)] = digest(join(folder, name))

def found(folder, names, dotted):
    for entry in listed(folder):
        stem = entry.split('.')[0]
        if stem not in names:
            continue
        path = join(folder, entry)
        if isdir(path):
            if entry != stem:
                continue
            first = [join(path, '__init__' + s) for s in SUFFIXES if os.path.lexists(join(path, '__init__' + s))]
            if first:
                yield stem, path, first[0]
            elif any(os.path.lexists(join(path, part) + s) for part in dotted.get(stem, ()) for s in [''] + SUFFIXES):
                yield stem, path, None
        elif any(entry == stem + s for s in SUFFIXES):
            yield stem, path, None

def normal(name):
    return re.sub(r'[-_.]+', '-', name).lower()

def announced(folder):
    for entry in listed(folder):
        if entry.endswith(('.dist-info', '.egg-info')):
            yield normal(re.split(r'-\d|\.(?:dist|egg)-info$', entry)[0]), join(folder, entry)

def plugin(where):
    points = join(where, 'entry_points.txt')
    try:
        if stat.S_ISREG(os.stat(points).st_mode):
            with open(points, 'rb') as file:
                return re.search(rb'^\s*\[\s*pytest11\s*\]', file.read(1 << 20), re.M) is not None
    except OSError:
        pass
    return False

def scan(fronts, path, names, dotted, distributions):
    matches, digests = [], {}
    for at, folder in enumerate(fronts):
        for name, where, first in found(os.path.realpath(folder), names, dotted):
            matches.append({'name': name, 'index': at - len(fronts), 'path': where, 'initializer': first})
        # A directory on the module path announces plugins too, as the working directory of 'python -m' does.
        for name, where in announced(os.path.realpath(folder)):
            if plugin(where):
                matches.append({'name': 'pytest11', 'index': at - len(fronts), 'path': join(where, 'entry_points.txt'), 'initializer': None})
    bound = dict(names)
    for at, folder in enumerate(path):
        if not isdir(folder):
            if os.path.lexists(folder):
                digests[folder] = digest(folder)
            continue
        caches = {}
        for entry in listed(join(folder, '__pycache__')):
            caches.setdefault(entry.split('.')[0], []).append(join(folder, '__pycache__', entry))
        here = set()
        for name, where, first in found(folder, names, dotted):
            if bound[name] == 'first':
                bound[name] = at
            if bound[name] is not None and at > bound[name]:
                continue
            matches.append({'name': name, 'index': at, 'path': where, 'initializer': first})
            tree(where, digests)
            if name not in here:
                here.add(name)
                for cache in caches.get(name, ()):
                    digests[cache] = digest(cache)
        for entry in listed(folder):
            if entry.endswith('.pth') and at >= C['firstSite']:
                digests[join(folder, entry)] = digest(join(folder, entry))
        for name, where in announced(folder):
            if name in distributions:
                tree(where, digests)
                continue
            if plugin(where):
                digests[join(where, 'entry_points.txt')] = digest(join(where, 'entry_points.txt'))
    return matches, digests, {n: (None if b == 'first' else b) for n, b in bound.items()}

def standard_imports(folders, names):
    """Names outside of the standard library that its own modules try to import: an added module of such a name would run in every process."""
    import ast
    out = {}
    for top in folders:
        for folder, subs, files in os.walk(top):
            subs[:] = [s for s in subs if s not in LEFT_OUT and s not in ('site-packages', 'dist-packages', 'lib2to3', 'tkinter', 'ensurepip', 'distutils') and not s.startswith('config-')]
            for name in files:
                if not name.endswith('.py'):
                    continue
                try:
                    with open(join(folder, name), 'rb') as file:
                        text = file.read().decode('utf-8', 'replace')
                    # Whole statements only: most docstrings are sorted out before the slow look.
                    tried = set(re.findall(r'^[ \t]*(?:from[ \t]+([A-Za-z_]\w*)[\w.]*[ \t]+import\b|import[ \t]+([A-Za-z_]\w*)[\w.]*[ \t]*(?:as[ \t]+\w+[ \t]*)?(?:[,;#].*)?$)', text, re.M))
                    tried = {a or b for a, b in tried} - names
                    if not tried:
                        continue
                    for node in ast.walk(ast.parse(text)):
                        full = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
                        for item in full:
                            parts = item.split('.')
                            if parts[0] not in names:
                                out.setdefault(parts[0], set()).update(parts[1:2])
                except (OSError, SyntaxError, ValueError):
                    pass
    return out

def pristine():
    import site
    version = 'python%d.%d' % sys.version_info[:2]
    try:
        sites = list(site.getsitepackages())
    except Exception:
        sites = []
    own = [p for p in sys.path if p]
    inside = lambda p: p in sites or 'site-packages' in p or 'dist-packages' in p
    standard = [p for p in own if not inside(p) and (p.startswith(sys.base_prefix + '/') or p.endswith('.zip'))]
    users = [join(h, '.local', 'lib', version, 'site-packages') for h in C['homes']]
    path = list(dict.fromkeys(standard + users + sites + [p for p in own if p not in standard]))
    C['firstSite'] = len(standard)
    names = set(getattr(sys, 'stdlib_module_names', ()))
    for folder in standard:
        for entry in listed(folder):
            stem = entry.split('.')[0]
            if (isdir(join(folder, entry)) and os.path.lexists(join(folder, entry, '__init__.py'))) or any(entry == stem + s for s in SUFFIXES):
                names.add(stem)
    tried = standard_imports([p for p in standard if isdir(p)], names | set(sys.builtin_module_names))
    names |= set(tried) | {'sitecustomize', 'usercustomize'}
    dotted = {n: sorted(s) for n, s in tried.items() if s}
    wanted, known = {normal(s) for s in C['seeds']}, {}
    tops = {'pytest', '_pytest', 'py', 'pluggy', 'iniconfig'} if 'pytest' in wanted else set()
    try:
        import importlib.metadata as metadata
        for item in metadata.distributions(path=[p for p in path if isdir(p)]):
            try:
                name = normal(item.metadata['Name'])
            except Exception:
                continue
            known.setdefault(name, item)
            if any(e.group == 'pytest11' for e in item.entry_points):
                wanted.add(name)
    except ImportError:
        pass
    seen, queue = set(), sorted(wanted)
    while queue:
        name = queue.pop()
        if name in seen or name not in known:
            continue
        seen.add(name)
        item = known[name]
        for line in item.requires or ():
            if 'extra ==' not in line:
                queue.append(normal(re.match(r'[A-Za-z0-9._-]+', line.strip()).group(0)))
        given = (item.read_text('top_level.txt') or '').split()
        for file in () if given else item.files or ():
            part = file.parts[0]
            if not part.startswith('..') and not part.endswith(('.dist-info', '.egg-info', '.pth')) and part not in ('__pycache__', 'bin') and (len(file.parts) > 1 or part.endswith('.py') or '.so' in part):
                given.append(part.split('.')[0])
        tops.update(given or [name.replace('-', '_')])
    names = (names | tops | set(C['names'])) - LEFT_OUT - set(sys.builtin_module_names)
    matches, digests, bound = scan(C['fronts'], path, dict.fromkeys(names, 'first'), dotted, seen)
    return {'path': path, 'names': bound, 'dotted': dotted, 'distributions': sorted(seen | {normal(s) for s in C['seeds']}), 'matches': matches, 'digests': digests, 'firstSite': C['firstSite'],
            'tops': sorted(tops), 'standard': standard, 'executable': os.path.realpath(sys.executable), 'prefix': [sys.prefix, sys.base_prefix]}

def judged():
    known = C['judge']
    C['firstSite'] = known['firstSite']
    matches, digests, bound = scan(C['fronts'], known['path'], known['names'], known['dotted'], set(known['distributions']))
    return {'matches': matches, 'digests': digests}

text = json.dumps(pristine() if C['judge'] is None else judged())
sys.stdout.write(text + '\n')
`;

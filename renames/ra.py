#!/usr/bin/env python3
"""Applies rename lists with rust-analyzer. usage: ra.py ROOT LIST.tsv..."""
import json, os, subprocess, sys, threading, queue, time, pathlib, re, urllib.parse
root = os.path.realpath(sys.argv[1]); lists = sys.argv[2:]
env = dict(os.environ)
ra = subprocess.Popen(['rust-analyzer'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open('ra.err','w'), cwd=root, env=env)
inbox = queue.Queue(); ready = threading.Event(); replies = {}
def uri(p): return 'file://' + urllib.parse.quote(p)
def path(u): return urllib.parse.unquote(u[len('file://'):])
lock = threading.Lock()
def send(msg):
    b = json.dumps(dict(jsonrpc='2.0', **msg)).encode()
    with lock:
        ra.stdin.write(b'Content-Length: %d\r\n\r\n' % len(b) + b); ra.stdin.flush()
status = {'q': False}
def reader():
    while True:
        n = 0
        while True:
            line = ra.stdout.readline()
            if not line: os._exit(3)
            line = line.strip()
            if not line: break
            if line.lower().startswith(b'content-length:'): n = int(line.split(b':')[1])
        m = json.loads(ra.stdout.read(n))
        if 'method' in m and 'id' in m:
            send({'id': m['id'], 'result': [config] * len(m.get('params', {}).get('items', [1])) if m['method'] == 'workspace/configuration' else None})
        elif 'method' in m:
            if m['method'] == 'experimental/serverStatus':
                status['q'] = m['params'].get('quiescent'); print('status', json.dumps(m['params'])[:300], file=sys.stderr, flush=True)
        else:
            inbox.put(m)
threading.Thread(target=reader, daemon=True).start()
config = {
    'cargo': {'buildScripts': {'enable': True, 'overrideCommand': ['cargo','check','--release','--quiet','--workspace','--all-targets','--message-format=json','--keep-going']}, 'allTargets': True, 'noDeps': False},
    'procMacro': {'enable': True}, 'checkOnSave': False, 'cachePriming': {'enable': False}, 'files': {'watcher': 'client'},
    'diagnostics': {'enable': False}, 'lru': {'capacity': 4096}, 'rename': {'allowExternalItems': False},
}
ids = iter(range(1, 10**9))
def request(method, params, timeout=300):
    i = next(ids); send({'id': i, 'method': method, 'params': params})
    end = time.time() + timeout
    while True:
        m = inbox.get(timeout=max(1, end - time.time()))
        if m.get('id') == i: return m
request('initialize', {'processId': os.getpid(), 'rootUri': uri(root), 'workspaceFolders': [{'uri': uri(root), 'name': 'w'}], 'initializationOptions': config,
  'capabilities': {'workspace': {'workspaceEdit': {'documentChanges': True, 'resourceOperations': ['create','rename','delete']}, 'configuration': True, 'didChangeWatchedFiles': {'dynamicRegistration': True}},
                   'textDocument': {'rename': {'prepareSupport': True}}, 'general': {'positionEncodings': ['utf-8']}, 'experimental': {'serverStatusNotification': True}}})
send({'method': 'initialized', 'params': {}})
docs = {}
files = subprocess.check_output(['git','-C',root,'ls-files','-co','--exclude-standard','*.rs'], text=True).split('\n')
for f in files:
    p = os.path.join(root, f)
    if f and os.path.isfile(p) and not f.startswith('fuzz/'): docs[p] = [1, open(p, encoding='utf8').read()]
def did_open(p): send({'method': 'textDocument/didOpen', 'params': {'textDocument': {'uri': uri(p), 'languageId': 'rust', 'version': docs[p][0], 'text': docs[p][1]}}})
for p in docs: did_open(p)
t0 = time.time(); quiet = None
while True:
    time.sleep(1)
    if status['q']:
        quiet = quiet or time.time()
        if time.time() - quiet > 15: break
    else: quiet = None
print(f'ready after {time.time()-t0:.0f} s', file=sys.stderr, flush=True)
def apply_text(text, edits):
    lines = text.encode().split(b'\n'); starts = [0]
    for l in lines: starts.append(starts[-1] + len(l) + 1)
    data = text.encode()
    off = lambda pos: min(starts[min(pos['line'], len(lines))] + pos['character'], len(data))
    for e in sorted(edits, key=lambda e: off(e['range']['start']), reverse=True):
        data = data[:off(e['range']['start'])] + e['newText'].encode() + data[off(e['range']['end']):]
    return data.decode()
def write(p):
    os.makedirs(os.path.dirname(p), exist_ok=True); open(p, 'w', encoding='utf8').write(docs[p][1])
def apply(edit):
    changed = set(); events = []
    ops = edit.get('documentChanges') or [{'textDocument': {'uri': u}, 'edits': e} for u, e in (edit.get('changes') or {}).items()]
    for op in ops:
        if 'kind' not in op:
            p = path(op['textDocument']['uri'])
            if p not in docs: raise RuntimeError('edit outside: ' + p)
            docs[p][1] = apply_text(docs[p][1], op['edits']); changed.add(p)
    for p in changed:
        docs[p][0] += 1; write(p)
        send({'method': 'textDocument/didChange', 'params': {'textDocument': {'uri': uri(p), 'version': docs[p][0]}, 'contentChanges': [{'text': docs[p][1]}]}})
    for op in ops:
        if op.get('kind') == 'rename':
            a, b = path(op['oldUri']), path(op['newUri'])
            moved = [p for p in docs if p == a or p.startswith(a.rstrip('/') + '/')]
            for p in moved:
                n = b + p[len(a):] if p != a else b
                send({'method': 'textDocument/didClose', 'params': {'textDocument': {'uri': uri(p)}}})
                docs[n] = [1, docs.pop(p)[1]]; write(n); os.remove(p); did_open(n)
                events += [{'uri': uri(p), 'type': 3}, {'uri': uri(n), 'type': 1}]
            # what is no Rust file moves too
            if os.path.isdir(a):
                for d, _, fs in os.walk(a):
                    for f in fs:
                        n = b + os.path.join(d, f)[len(a):]; os.makedirs(os.path.dirname(n), exist_ok=True); os.rename(os.path.join(d, f), n)
                subprocess.run(['find', a, '-type', 'd', '-empty', '-delete'])
    if events:
        send({'method': 'workspace/didChangeWatchedFiles', 'params': {'changes': events}}); time.sleep(1.0)
        for _ in range(60):
            if status['q']: break
            time.sleep(0.5)
    return len(changed), bool(events)
moves = {}
done = failed = 0
log = open('ra.log', 'a')
def say(*a): print(*a, file=log, flush=True)
for name in lists:
    for line in open(name, encoding='utf8'):
        line = line.rstrip('\n')
        if not line.strip() or line.startswith('#'): continue
        cols = line.split('\t')
        if len(cols) != 4: say('BAD', name, line); failed += 1; continue
        f, part, old, new = cols
        p = os.path.join(root, f)
        # a file that an earlier rename has moved
        for a, b in moves.items():
            if p == a or p.startswith(a + '/'): p = b + p[len(a):]
        if p not in docs: say('NOFILE', name, line); failed += 1; continue
        rows = docs[p][1].split('\n')
        hits = [i for i, r in enumerate(rows) if part in r]
        if len(hits) != 1:
            # an earlier rename may have changed the line: look for the old name as a definition
            pat = re.compile(r'\b(?:struct|enum|trait|type|fn|const|static|mod|macro_rules!)\s+' + re.escape(old) + r'\b')
            hits = [i for i, r in enumerate(rows) if pat.search(r)]
        if len(hits) != 1: say('NOLINE', len(hits), name, line); failed += 1; continue
        m = re.search(r'\b' + re.escape(old) + r'\b', rows[hits[0]])
        if not m: say('NONAME', name, line); failed += 1; continue
        col = len(rows[hits[0]][:m.start()].encode())
        try:
            r = request('textDocument/rename', {'textDocument': {'uri': uri(p)}, 'position': {'line': hits[0], 'character': col}, 'newName': new}, 180)
        except queue.Empty:
            say('TIMEOUT', name, line); failed += 1; continue
        if 'error' in r or not r.get('result'): say('ERROR', r.get('error', {}).get('message'), name, line); failed += 1; continue
        before = set(docs)
        try: n, moved = apply(r['result'])
        except Exception as e: say('APPLY', e, name, line); failed += 1; continue
        if moved:
            for op in r['result'].get('documentChanges', []):
                if op.get('kind') == 'rename': moves[path(op['oldUri'])] = path(op['newUri'])
        done += 1
        if done % 25 == 0: print(done, 'done', failed, 'failed', f'{time.time()-t0:.0f} s', file=sys.stderr, flush=True)
say(f'== {done} done, {failed} failed'); print(f'{done} done, {failed} failed', file=sys.stderr)
ra.kill()

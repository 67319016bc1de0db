// Bundles the page into dist/: node build.mjs. File names contain a hash of their content, so browsers may cache them
// without expiry. Only index.html must be revalidated on each visit. A file that has not changed is not written again,
// because cargo rebuilds what embeds the page if a file is newer.
import { build } from 'esbuild'
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'

const here = new URL('.', import.meta.url)
const at = path => new URL(path, here).pathname

const made = await build({
  entryPoints: [at('src/main.tsx')],
  outdir: at('dist'),
  entryNames: 'app-[hash]',
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['es2022'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'linked',
  write: false,
})
const files = new Map(made.outputFiles.map(file => [basename(file.path), Buffer.from(file.contents)]))
const ending = end => [...files.keys()].find(name => name.endsWith(end))
const page = (await readFile(at('src/index.html'), 'utf8'))
  .replace('app.js', ending('.js'))
  .replace('app.css', ending('.css'))
files.set('index.html', Buffer.from(page))
files.set('icon.svg', await readFile(at('src/icon.svg')))

await mkdir(at('dist'), { recursive: true })
for (const name of await readdir(at('dist'))) {
  if (!files.has(name)) await rm(at(`dist/${name}`), { recursive: true })
}
for (const [name, contents] of files) {
  const old = await readFile(at(`dist/${name}`)).catch(() => undefined)
  if (!old?.equals(contents)) await writeFile(at(`dist/${name}`), contents)
}

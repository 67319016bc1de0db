// Bundles the page into dist/: node build.mjs. File names contain a hash of their content, so browsers may cache them
// without expiry. Only index.html must be revalidated on each visit.
import { build } from 'esbuild'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'

const here = new URL('.', import.meta.url)
const at = path => new URL(path, here).pathname

await rm(at('dist'), { recursive: true, force: true })
await mkdir(at('dist'))
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
  metafile: true,
})
const files = Object.keys(made.metafile.outputs).map(path => basename(path))
const ending = end => files.find(name => name.endsWith(end))
const page = await readFile(at('src/index.html'), 'utf8')
await writeFile(at('dist/index.html'), page.replace('app.js', ending('.js')).replace('app.css', ending('.css')))
await writeFile(at('dist/icon.svg'), await readFile(at('src/icon.svg')))

// Bundles the unit tests, which are TypeScript like the code they test, and runs them: node tests/unit.mjs. Then
// checks the size of the page.
import { build } from 'esbuild'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

/** Maximum size of the scripts, compressed, in bytes. */
const MOST = 250 * 1024

const here = fileURLToPath(new URL('.', import.meta.url))
const folder = await mkdtemp(join(tmpdir(), 'wheeltapper-dashboard-'))
try {
  const tests = (await readdir(join(here, 'unit'))).filter(name => name.endsWith('.test.ts'))
  await build({
    entryPoints: tests.map(name => join(here, 'unit', name)),
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    loader: { '.css': 'empty' },
    external: ['node:*'],
    logLevel: 'warning',
  })
  // Times are shown in the user's time zone: the tests set a fixed one.
  const env = { ...process.env, TZ: 'Europe/Amsterdam', LANG: 'en_GB.UTF-8', LC_ALL: 'en_GB.UTF-8' }
  const files = tests.map(name => join(folder, name.replace(/\.ts$/, '.mjs')))
  const { status } = spawnSync(process.execPath, ['--test', ...files], { stdio: 'inherit', env })
  if (status !== 0) process.exitCode = 1
} finally {
  await rm(folder, { recursive: true, force: true })
}

const dist = join(here, '../dist')
const files = await readdir(dist)
let weight = 0
for (const name of files.filter(name => name.endsWith('.js')))
  weight += gzipSync(await readFile(join(dist, name))).length
console.log(`size of the scripts: ${(weight / 1024).toFixed(1)} KiB compressed; maximum ${MOST / 1024} KiB`)
if (weight > MOST) process.exitCode = 1
const page = await readFile(join(dist, 'index.html'), 'utf8')
for (const name of files.filter(name => /\.(js|css)$/.test(name))) {
  const text = await readFile(join(dist, name), 'utf8')
  // Names of XML namespaces and licences are not addresses that anything is fetched from.
  const foreign = (text.match(/(?:https?:)?\/\/[a-z0-9.-]+\.[a-z]{2,}[^\s"'`)]*/gi) ?? []).filter(
    url => !/w3\.org|\/\/(www\.)?(npms|github)/.test(url),
  )
  if (foreign.length) {
    console.error(`${name} refers to other hosts: ${foreign.slice(0, 3).join(', ')}`)
    process.exitCode = 1
  }
  if (!page.includes(name)) {
    console.error(`index.html does not refer to ${name}`)
    process.exitCode = 1
  }
}

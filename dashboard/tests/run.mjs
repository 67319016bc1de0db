// Bundles the unit tests, which are TypeScript as what they test, and runs them: node tests/run.mjs. Then weighs the page.
import { build } from 'esbuild'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

/** What a browser has to fetch before it shows anything, at most. */
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
  // Times are told in the reader's zone: the tests have one of their own.
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
for (const name of files.filter(name => name.endsWith('.js'))) weight += gzipSync(await readFile(join(dist, name))).length
console.log(`the scripts weigh ${(weight / 1024).toFixed(1)} KiB packed; at most ${MOST / 1024}`)
if (weight > MOST) process.exitCode = 1
const page = await readFile(join(dist, 'index.html'), 'utf8')
for (const name of files.filter(name => /\.(js|css)$/.test(name))) {
  const text = await readFile(join(dist, name), 'utf8')
  // Names of namespaces and of licences are no addresses that anything is fetched from.
  const foreign = (text.match(/(?:https?:)?\/\/[a-z0-9.-]+\.[a-z]{2,}[^\s"'`)]*/gi) ?? []).filter(
    url => !/w3\.org|\/\/(www\.)?(npms|github)/.test(url),
  )
  if (foreign.length) {
    console.error(`${name} names other hosts: ${foreign.slice(0, 3).join(', ')}`)
    process.exitCode = 1
  }
  if (!page.includes(name)) {
    console.error(`index.html does not name ${name}`)
    process.exitCode = 1
  }
}

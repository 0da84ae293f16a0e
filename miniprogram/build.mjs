// Makes the SDK's one file out of src/, for both kinds of modules, and puts it into the sample.
//
// usage: node miniprogram/build.mjs [--check]     (--check: writes nothing, fails if something is not up to date)
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const HERE = dirname(fileURLToPath(import.meta.url))
const IMPORT = /^import \{[^}]*\} from '\.\/([\w.]+)'\n/gm
const EXPORTS = /^export \{ (.*) \}\n/gm
const NOTE = '// Made from miniprogram/src by miniprogram/build.mjs; change it there. MIT licence.\n'

/** The modules in the order in which they need each other; one scope holds all, so names differ everywhere. */
function modules(entry) {
  const found = new Map()
  const visit = (name) => {
    if (found.has(name)) return
    const text = readFileSync(join(HERE, 'src', name), 'utf8')
    found.set(name, null)
    for (const [, needed] of text.matchAll(IMPORT)) visit(needed)
    found.delete(name)
    found.set(name, text.replace(IMPORT, '').replace(EXPORTS, '').replace(/^export /gm, '').trim())
  }
  visit(entry)
  return [...found.values()].join('\n\n')
}

const names = ['createKaimen', 'scanIdOf']
const body = modules('index.js')
const commonJs = `${NOTE}'use strict'\n\n${body}\n\nmodule.exports = { ${names.join(', ')} }\n`
const targets = {
  'kaimen/index.js': commonJs,
  'kaimen/index.mjs': `${NOTE}\n${body}\n\nexport { ${names.join(', ')} }\n`,
  'sample/kaimen/index.js': commonJs,
}

const isCurrent = ([path, text]) => {
  try {
    return readFileSync(join(HERE, path), 'utf8') === text
  } catch (error) {
    return false
  }
}

const stale = Object.entries(targets).filter((target) => !isCurrent(target))
if (process.argv.includes('--check')) {
  for (const [path] of stale) console.error(`miniprogram/${path} is not up to date: run node miniprogram/build.mjs`)
  process.exit(stale.length ? 1 : 0)
}
for (const [path, text] of stale) writeFileSync(join(HERE, path), text)

// The code of the READMEs and the guides, as it stands.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { start } from './backend.mjs'

const require = createRequire(import.meta.url)
const URLS = /https:\/\/login\.example\.com|http:\/\/127\.0\.0\.1:8000/g

/** The JavaScript of these pages that makes an app or a page, in its order, and the app and the page it made. */
async function play(t, ...names) {
  const { wx, phone, gate } = await start(t)
  const made = {}
  globalThis.wx = { ...wx, showToast: ({ title }) => (made.toast = title) }
  const globals = {
    require: () => require('../../miniprogram/kaimen/index.js'),
    App: (options) => (made.app = options),
    Page: (options) => (made.page = options),
    getApp: () => made.app,
  }
  const texts = names.map((name) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8'))
  const blocks = texts.flatMap((text) => [...text.matchAll(/```js\n([^]*?)```/g)].map(([, code]) => code))
  for (const code of blocks.filter((block) => /^(App|Page)\(/m.test(block))) {
    new Function(...Object.keys(globals), code.replace(URLS, gate.url))(...Object.values(globals))
    if (!made.page) made.app.onLaunch()
  }
  made.page.data ??= {}
  Object.assign(made.page, { setData: (changes) => Object.assign(made.page.data, changes) })
  return { made, phone }
}

for (const readme of ['README.md', 'README.zh-CN.md']) {
  test(`the code of ${readme} logs in, shows the user and binds the phone`, async (t) => {
    const { made, phone } = await play(t, readme)
    await made.page.onLoad()
    assert.ok(made.page.data.user.id)
    await made.page.bindPhone(await phone.tapPhone())
    assert.equal(made.page.data['user.phone'], '139****0001')
    assert.equal(made.toast, undefined)
  })
}

test('the code of the tutorial logs in and shows the user', async (t) => {
  const { made } = await play(t, 'docs/tutorial.md')
  await made.page.onLoad()
  assert.ok(made.page.data.user.id)
  assert.equal(made.toast, undefined)
})

test('the button of the recipe for phones logs in with the phone bound', async (t) => {
  const { made, phone } = await play(t, 'docs/tutorial.md', 'docs/recipes.md')
  await made.app.ready
  await made.page.logIn(await phone.tapPhone())
  assert.equal(made.page.data.user.phone, '139****0001')
  assert.equal(made.toast, undefined)
})

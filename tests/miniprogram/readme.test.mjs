// The README's code, as it stands.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { start } from './backend.mjs'

const require = createRequire(import.meta.url)

for (const readme of ['README.md', 'README.zh-CN.md']) {
  test(`the code of ${readme} logs in, shows the user and binds the phone`, async (t) => {
    const { wx, phone, gate } = await start(t)
    const text = readFileSync(new URL(`../../${readme}`, import.meta.url), 'utf8')
    const [app, page] = [...text.matchAll(/```js\n([^]*?)```/g)].map(([, code]) => code)
    const made = {}
    globalThis.wx = { ...wx, showToast: ({ title }) => (made.toast = title) }
    const globals = {
      require: () => require('../../miniprogram/kaimen/index.js'),
      App: (options) => (made.app = options),
      Page: (options) => (made.page = options),
      getApp: () => made.app,
    }
    const run = (code) => new Function(...Object.keys(globals), code)(...Object.values(globals))
    run(app.replace('https://login.example.com', gate.url))
    made.app.onLaunch()
    run(page)
    Object.assign(made.page, { setData: (changes) => Object.assign(made.page.data, changes) })
    await made.page.onLoad()
    assert.ok(made.page.data.user.id)
    await made.page.bindPhone(await phone.tapPhone())
    assert.equal(made.page.data['user.phone'], '139****0001')
    assert.equal(made.toast, undefined)
  })
}

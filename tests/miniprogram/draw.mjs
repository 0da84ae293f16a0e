// Draws the sample's pages into a web page, so that a browser can look at them: node draw.mjs FILE
//
// WXML is evaluated with the data that each page has after it ran against the backend; rpx become px. The script at the
// end of each page reports what is too wide, too small to tap, or too pale to read.
import { writeFileSync } from 'node:fs'
import { Gate, Phone, SIMULATOR } from './backend.mjs'
import { launch, read, readJson } from './sample.mjs'

const TAGS = { view: 'div', navigator: 'a', text: 'span', image: 'img', input: 'input', button: 'button', form: 'form' }
const RESET = `body { margin: 0 } page { display: block; overflow: hidden } a { display: block; color: inherit }
  button { display: block; border: 0; font-family: inherit; text-align: center } button[disabled] { opacity: 0.5 }
  input { min-width: 0; border: 0; background: transparent; color: inherit; font: inherit } img { object-fit: cover }
  .bar { display: flex; height: 88px; padding-bottom: 12px; align-items: end; justify-content: center; font-weight: 600 }`

function parse(text) {
  const root = { kids: [] }
  const open = [root]
  const pattern = /<(\/?)([a-z-]+)((?:\s+[\w:-]+(?:="[^"]*")?)*)\s*(\/?)>|([^<]+)/g
  for (const [, close, name, given, self, words] of text.matchAll(pattern)) {
    const [top] = open.slice(-1)
    if (words !== undefined) top.kids.push(words.trim())
    else if (close) open.pop()
    else {
      const attributes = Object.fromEntries([...given.matchAll(/([\w:-]+)(?:="([^"]*)")?/g)].map(([, key, value = '']) => [key, value]))
      const node = { name, attributes, kids: [] }
      top.kids.push(node)
      if (!self) open.push(node)
    }
  }
  return root
}

const evaluate = (code, data) => new Function(...Object.keys(data), `return (${code})`)(...Object.values(data))
const fill = (text, data) => text.replace(/\{\{(.*?)\}\}/g, (_, code) => evaluate(code, data) ?? '')
const escape = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;')

function render(node, data, inside) {
  let shown = false
  return node.kids.map((kid) => {
    if (typeof kid === 'string') return escape(fill(kid, data))
    const { attributes: given } = kid
    const condition = given['wx:if'] ?? given['wx:elif']
    if ('wx:if' in given) shown = false
    if (condition !== undefined || 'wx:else' in given) {
      if (shown || (condition !== undefined && !evaluate(condition.slice(2, -2), data))) return ''
      shown = true
    }
    if (!('wx:for' in given)) return draw(kid, data, inside)
    return evaluate(given['wx:for'].slice(2, -2), data).map((item) => draw(kid, { ...data, item }, inside)).join('')
  }).join('')
}

function draw({ name, attributes, kids }, data, inside) {
  if (name === 'block') return render({ kids }, data, inside)
  if (inside[name]) return render(parse(inside[name].wxml), inside[name].data, {})
  const tag = TAGS[name]
  if (!tag) throw new Error(`draw.mjs knows no <${name}>`)
  const taps = 'bindtap' in attributes || name === 'navigator' ? ' data-tap' : ''
  const off = fill(attributes.disabled || '', data) === 'true' ? ' disabled' : ''
  const own = ['class', 'src', 'value', 'placeholder'].filter((one) => one in attributes)
  const shown = own.map((one) => ` ${one}="${escape(fill(attributes[one], data))}"`).join('')
  return `<${tag}${shown}${taps}${off}>${tag === 'img' || tag === 'input' ? '' : `${render({ kids }, data, inside)}</${tag}>`}`
}

/** A page as it is now, `width` pixels wide. */
function drawPage(page, width, isDark) {
  const { window } = readJson('app.json')
  const own = readJson(`${page.route}.json`)
  const names = Object.keys(own.usingComponents || {})
  const where = (name) => own.usingComponents[name].slice(1)
  const inside = Object.fromEntries(names.map((name) => [name, { wxml: read(`${where(name)}.wxml`), data: page.selectComponent(`#${name}`).data }]))
  const styles = [read('app.wxss'), read(`${page.route}.wxss`), ...names.map((name) => read(`${where(name)}.wxss`))].join('\n')
  const css = styles
    .replace(/(-?[\d.]+)rpx/g, (_, count) => `${(count * width) / 750}px`)
    .replace(/(\d+)vh/g, (_, count) => `${count * 7.56}px`)
    .replace(/@media \(prefers-color-scheme: dark\) \{([^]*?\n)\}/, isDark ? '$1' : '')
  const title = own.navigationBarTitleText || window.navigationBarTitleText
  const body = render(parse(read(`${page.route}.wxml`)), page.data, inside)
  return `<!doctype html><meta charset="utf-8"><style>${RESET}${css}</style><page style="width:${width}px;height:844px;position:relative">
    <div class="bar">${title}</div>${body}</page><script>(${look})(${width})</script>`
}

/** Runs in the browser. */
function look(width) {
  const faults = []
  const channels = (colour) => colour.match(/[\d.]+/g).map(Number)
  const light = (colour) => {
    const [r, g, b] = channels(colour).map((one) => (one / 255 <= 0.03928 ? one / 255 / 12.92 : ((one / 255 + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor
      if (channels(colour)[3] !== 0) return colour
    }
    return 'rgb(255, 255, 255)'
  }
  for (const element of document.querySelectorAll('page *')) {
    const box = element.getBoundingClientRect()
    const name = `${element.tagName}.${element.className} ${element.textContent.slice(0, 20)}`
    if (box.right > width + 1 || box.left < -1) faults.push(`too wide: ${name}`)
    if ((element.tagName === 'BUTTON' || ('tap' in element.dataset && element.tagName !== 'SPAN')) && box.height < 40) faults.push(`too small: ${name} ${box.height}`)
    const hasWords = [...element.childNodes].some((one) => one.nodeType === 3 && one.textContent.trim())
    if (!hasWords || element.closest('[disabled]')) continue
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))]
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    const large = parseFloat(getComputedStyle(element).fontSize) >= 24 || getComputedStyle(element).fontWeight >= 600
    if (contrast < (large ? 3 : 4.5)) faults.push(`too pale: ${name} ${contrast.toFixed(2)}`)
  }
  const report = document.body.appendChild(document.createElement('pre'))
  report.id = 'report'
  report.hidden = true
  report.textContent = JSON.stringify(faults)
}

const LONG = '一个名字很长很长的人'.repeat(6)
const SCAN = { state: 'scanned', site: 'www.example.com', matchCode: '42', requestedAt: new Date().toISOString() }
const BROWSER = { name: 'Chrome 142', os: 'Windows', address: '203.0.113.7', region: '上海' }

/** [name, page] for every state worth looking at. */
async function pages() {
  const gate = await new Gate().start()
  const data = { ...SCAN, browser: BROWSER }
  gate.rules.push(({ path }) => path.startsWith('/api/scan/') && { status: 200, body: JSON.stringify({ code: 200, data }) })
  const phone = new Phone({ simulator: SIMULATOR, user: `d${process.pid}` })
  await phone.sim('users', { name: phone.user, nickname: 'Lin', phone: '13900000001' })
  const sample = await launch(phone, gate.url)
  const open = (url) => sample.open(url)
  const still = (page, changes = {}) => ({ ...page, data: structuredClone({ ...page.data, ...changes }) })
  const home = await open('/pages/home/home')
  await sample.app.kaimen.updateProfile({ nickname: '林小满', email: 'lin@example.com' })
  await home.bindPhone(await phone.tapPhone())
  const found = [['home', still(home)], ['home-long', still(home, { user: { ...home.data.user, nickname: LONG } })]]
  const sessions = await open('/pages/sessions/sessions')
  const others = ['Chrome 142 · Windows', 'WeChat 8.0 · 22081212C'].map((device, id) => ({ id, device, address: '198.51.100.20', seen: '3 小时前', current: false }))
  found.push(['sessions', still(sessions, { sessions: [...sessions.data.sessions, ...others], others: 2 })])
  found.push(['profile', still(await open('/pages/profile/profile'), { changed: true })])
  const confirm = await open('/pages/confirm/confirm?scene=AbCdEfGhIjKlMnOpQrStUv')
  found.push(['confirm', still(confirm, { chosen: confirm.data.numbers[1] })])
  await confirm.confirm()
  found.push(['confirmed', still(confirm)])
  found.push(['over', still(await open('/pages/confirm/confirm?scene=x'))])
  home.selectComponent('#privacy').setData({ shown: true })
  found.push(['privacy', { ...home, data: structuredClone(home.data), selectComponent: () => ({ data: { shown: true } }) }])
  home.selectComponent('#privacy').setData({ shown: false })
  await home.logOut()
  found.push(['out', still(home)], ['password', still(home, { byPassword: true })])
  sample.device.kill()
  gate.stop()
  return found
}

/** All of them in one page, whose #report has the faults of each by its name. */
const frames = (await pages()).flatMap(([name, page]) =>
  [320, 390].flatMap((width) =>
    ['light', 'dark'].map((theme) => {
      const text = drawPage(page, width, theme === 'dark').replace(/&/g, '&amp;').replace(/"/g, '&quot;')
      return `<iframe id="${name}-${width}-${theme}" width="${width}" height="844" frameborder="0" srcdoc="${text}"></iframe>`
    }),
  ),
)
const collect = () => {
  const reports = [...document.querySelectorAll('iframe')].map((one) => [one.id, JSON.parse(one.contentDocument.getElementById('report').textContent)])
  document.getElementById('report').textContent = JSON.stringify(Object.fromEntries(reports))
}
const [, , file] = process.argv
writeFileSync(file, `<!doctype html><meta charset="utf-8">${frames.join('')}<pre id="report"></pre><script>onload = ${collect}</script>`)

// What TypeScript makes of the SDK, beside the types that WeChat publishes. Compiled, never run.
import { createKaimen, scanIdOf, type Kaimen, type KaimenError, type Platform } from '../../miniprogram/kaimen/index'

const asPlatform: Platform = wx
const kaimen: Kaimen = createKaimen({ baseUrl: { develop: 'http://127.0.0.1:8000', release: 'https://a.example' } })
createKaimen({ baseUrl: 'https://a.example', platform: asPlatform, isExpired: ({ data }) => data.code === 401 })
// @ts-expect-error a misspelt option
createKaimen({ baseURL: 'https://a.example' })
// @ts-expect-error no server
createKaimen({})

App<{ kaimen: Kaimen }>({
  kaimen,
  async onLaunch() {
    const session = await kaimen.autoLogin()
    const name: string | undefined = session?.user.nickname
    console.log(name, scanIdOf({ scene: 'x' }))
    kaimen.onSession((current, reason) => console.log(current?.user.id, reason === 'logout'))
    const end: () => void = kaimen.watch()
    end()
    kaimen.onNeedPrivacyAuthorization(async ({ referrer }) => ({ agreed: !!referrer, buttonId: 'agree' }))
  },
})

Page({
  async onPhone(event: WechatMiniprogram.ButtonGetPhoneNumber) {
    const phone: string = await kaimen.bindPhone(event)
    return phone
  },
  async onAvatar(event: WechatMiniprogram.CustomEvent<{ avatarUrl: string }>) {
    const user = await kaimen.updateProfile({ avatar: event.detail.avatarUrl, nickname: '林' })
    return user.avatarUrl
  },
  async onLoad(query: Record<string, string | undefined>) {
    const scan = await kaimen.confirmScan(query)
    await scan.confirm(scan.matchCode)
    await scan.cancel()
  },
  async profile() {
    const data = await kaimen.decrypt<{ nickName: string }>(() => wx.getUserProfile({ desc: '完善资料' }))
    const name: string = data.nickName
    return name
  },
})

async function calls(): Promise<void> {
  const { sessions } = await kaimen.request<{ sessions: { id: string }[] }>({ path: '/api/sessions' })
  const reply = await kaimen.request<{ orders: number[] }>({ url: 'https://api.example.com/orders', method: 'POST' })
  const orders: number[] = reply.data.orders
  const call = kaimen.request({ path: '/api/user/info' })
  call.abort()
  // @ts-expect-error wx.request has no PATCH
  kaimen.request({ path: '/api/user/info', method: 'PATCH' })
  // @ts-expect-error either of the two
  kaimen.request({ path: '/a', url: 'https://b.example' })
  // @ts-expect-error no such field
  await kaimen.updateProfile({ name: 'x' })
  try {
    await kaimen.login({ username: 'lin', password: 'x' })
  } catch (error) {
    const { code, data, retryAfter } = error as KaimenError
    console.log(code + 1, data?.field, retryAfter, sessions.length, orders)
  }
}
void calls

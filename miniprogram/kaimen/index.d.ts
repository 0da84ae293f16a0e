/** Login of a WeChat mini-program against a Kaimen server. */

/** Someone who is signed in, as the server shows them to themselves. */
export interface User {
  id: string
  username: string | null
  nickname: string
  avatarUrl: string
  /** Masked, such as 138****8000. */
  phone: string | null
  email: string | null
  roles: string[]
  createdAt: string
  lastLoginAt: string | null
  /** Only after fetchUser(). */
  bindings?: { appid: string; kind: string; boundAt: string }[]
}

export interface Session {
  user: User
  sessionId: string
  /** Whether this login made the user. */
  isNewUser: boolean
  /** What came along with the login and failed: the login holds. */
  warnings: { code: number; error: string; data?: Record<string, unknown> }[]
}

/**
 * - `stored`: found on the phone at the start; `login`, `register`, `refresh`, `updated`: as they say;
 * - `logout`: by this app; `ended`: elsewhere, or by its age.
 */
export type SessionReason = 'stored' | 'login' | 'register' | 'refresh' | 'updated' | 'logout' | 'ended'

/** Every promise of this SDK is rejected with one of these. */
export interface KaimenError extends Error {
  name: 'KaimenError'
  /** Four digits: from 4000 the server's (docs/errors.md), below 2000 the phone's. */
  code: number
  error: LocalErrorName | (string & {})
  /** What the server says besides, such as { field } or { reason }. */
  data: Record<string, unknown> | null
  requestId?: string
  statusCode?: number
  /** Seconds after which to try again. */
  retryAfter?: number
  /** For developers: what wx said. */
  cause?: string
  errno?: number
}

export type LocalErrorName =
  | 'network_error' // 1001
  | 'timeout' // 1002
  | 'aborted' // 1003
  | 'bad_reply' // 1004: HTML, nothing, or no envelope
  | 'invalid_argument' // 1005
  | 'user_denied' // 1006
  | 'wx_failed' // 1007
  | 'logged_out' // 1008: after logout(); only login() and register() lead back in
  | 'storage_failed' // 1009: goes to onWarning

/** What is needed of `wx`, `uni` or `Taro`. */
export interface Platform {
  login(options: any): any
  request(options: any): any
  getStorageSync(key: string): any
  setStorageSync(key: string, value: any): void
  removeStorageSync(key: string): void
  getAccountInfoSync?(): { miniProgram: { envVersion: string } }
  checkSession?(options: any): any
  getFileSystemManager?(): { readFile(options: any): any }
  compressImage?(options: any): any
  connectSocket?(options: any): any
  onAppShow?(listener: any): any
  onAppHide?(listener: any): any
  onNeedPrivacyAuthorization?(listener: any): any
}

export interface Options {
  /** Where Kaimen is: one URL, or one for each version. The release version needs https. */
  baseUrl: string | { develop?: string; trial?: string; release?: string }
  /** The global `wx` unless given. */
  platform?: Platform
  /** Only where one Kaimen serves several mini-programs. */
  appid?: string
  /** Where the session is stored (`kaimen`). */
  storageKey?: string
  /** For each request, in ms, at most 60000 (15000). */
  timeout?: number
  /** Requests at a time: WeChat allows 10. Leave some if the app calls wx.request itself. */
  maxRequests?: number
  /** Other servers that get the access token, such as ["https://api.example.com"]. */
  origins?: string[]
  /** Whether the reply of another server says that the token has expired (statusCode 401). */
  isExpired?(reply: Reply): boolean
  /** Told of what did not stop anything, such as a full storage (console.warn). */
  onWarning?(warning: KaimenError): void
  /** Language of messages (`zh`). */
  language?: 'zh' | 'en'
}

export interface OpenData {
  encryptedData: string
  iv: string
  rawData?: string
  signature?: string
}

export interface LoginFields extends Partial<OpenData> {
  /** By password; without it by wx.login. */
  username?: string
  password?: string
  /** e.detail.code of open-type="getPhoneNumber": logs in and binds the phone in one tap. */
  phoneCode?: string
}

export interface RegisterFields extends LoginFields {
  /** With username and password: an account that is bound to the WeChat user as well. */
  wechat?: boolean
}

export interface Reply<T = any> {
  statusCode: number
  data: T
  header: Record<string, any>
}

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD' | 'OPTIONS'

interface Call {
  /** wx.request knows no PATCH: Kaimen takes PUT in its place. */
  method?: Method
  data?: string | ArrayBuffer | object
  header?: Record<string, string>
  timeout?: number
  /** false: without the token. */
  auth?: boolean
  dataType?: string
  responseType?: 'text' | 'arraybuffer'
}

/** A call of Kaimen's own API. */
export interface KaimenCall extends Call {
  path: string
  url?: undefined
}

/** A call of another server, whose origin is among `origins` (or with auth: false). */
export interface OtherCall extends Call {
  url: string
  path?: undefined
}

export interface Abortable<T> extends Promise<T> {
  /** Rejects the promise with `aborted` and stops the request. */
  abort(): void
}

/** What to show before a login on a web page is confirmed. */
export interface Scan {
  id: string
  state: 'scanned' | 'confirmed'
  /** Two digits that the web page shows, too. */
  matchCode: string
  browser: { name: string; os: string; address: string; region?: string }
  site: string
  requestedAt: string
  confirm(matchCode?: string | number): Promise<unknown>
  cancel(): Promise<unknown>
}

export interface Kaimen {
  readonly baseUrl: string
  /** Who is signed in, as far as the phone knows. */
  readonly session: Session | null

  /** By wx.login, or by username and password. Calls that wait share one wx.login. */
  login(fields?: LoginFields): Promise<Session>
  register(fields?: RegisterFields): Promise<Session>
  /** On launch: the stored session, renewed if need be, else a login by WeChat; null after a logout(). */
  autoLogin(): Promise<Session | null>
  /** Ends the session here, or with { all: true } on every device. */
  logout(options?: { all?: boolean }): Promise<void>

  /** The `data` of Kaimen's reply. */
  request<T = any>(call: KaimenCall): Abortable<T>
  /** The reply of another server, whatever its status. */
  request<T = any>(call: OtherCall): Abortable<Reply<T>>

  /** A token that is good now, for request layers of your own. */
  getAccessToken(): Promise<string>
  /** A new token; with the token that was refused: only if nobody else got a new one meanwhile. */
  refresh(stale?: string): Promise<string>

  fetchUser(): Promise<User>
  /** `avatar`: the file path of open-type="chooseAvatar". */
  updateProfile(changes: { avatar?: string; nickname?: string; email?: string | null }): Promise<User>
  /** The event of open-type="getPhoneNumber" → the phone, masked. */
  bindPhone(event: { detail: object } | object): Promise<string>
  /** `fetch` gets the data from wx; it may be called twice. */
  decrypt<T = Record<string, unknown>>(fetch: () => Promise<OpenData> | OpenData): Promise<T>

  /** With what the page was opened with (options of onLoad, or its scene): tells the web page that it was scanned. */
  confirmScan(scene: string | { scene?: string; q?: string }): Promise<Scan>

  /** Called at once if there is a session, then at each change; returns a function that ends it. */
  onSession(listener: (session: Session | null, reason: SessionReason) => void): () => void
  /** Hears by a socket when the session ends elsewhere or the user changes; returns a function that ends it. */
  watch(): () => void
  /** `ask` shows the privacy dialog. With `policy`, the word is kept on the server. */
  onNeedPrivacyAuthorization(
    ask: (info: { referrer?: string }) => PrivacyAnswer | Promise<PrivacyAnswer>,
    policy?: { policy: string; version: string },
  ): void
}

/** `buttonId`: the id of the button with open-type="agreePrivacyAuthorization" that was tapped. */
export interface PrivacyAnswer {
  agreed: boolean
  buttonId?: string
}

/** Throws KaimenError `invalid_argument` when an option is wrong. */
export function createKaimen(options: Options): Kaimen

/** The id in what a confirm page was opened with; throws KaimenError `invalid_argument`. */
export function scanIdOf(scene: string | { scene?: string; q?: string }): string

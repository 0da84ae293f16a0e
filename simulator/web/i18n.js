// Every text of the page, Chinese and English.

const TEXTS = {
  title: ["· 微信模拟器", "· WeChat simulator"],
  phone: ["手机", "Phone"],
  wire: ["谁问了谁", "Who asked whom"],
  lanePhone: ["手机", "Phone"],
  laneBackend: ["后端", "Backend"],
  laneWechat: ["微信", "WeChat"],
  clearLog: ["清空", "Clear"],
  emptyLog: ["在手机上打开小程序并登录，\n每一次调用都会画在这里。", "Open the mini-program on the phone and log in:\nevery call is drawn here."],
  request: ["请求", "Request"],
  reply: ["应答", "Reply"],
  injected: ["注入的故障", "injected fault"],
  pending: ["等待", "waiting"],
  noReply: ["无应答", "no reply"],
  faults: ["让微信出错", "Make WeChat fail"],
  clearFaults: ["全部关闭", "All off"],
  faultsHint: ["打开一项，再到手机上操作，看后端如何应对。", "Switch one on, use the phone, and see how the backend copes."],
  faultApi: ["接口", "API"],
  faultTimes: ["影响几次调用", "Calls it hits"],
  always: ["一直", "all"],
  otherFaults: ["其他接口上的故障", "On other APIs"],
  faultLeft: ["还剩 {0} 次", "{0} left"],
  busy: ["系统繁忙", "System busy"],
  rate: ["调用太频繁", "Too frequent"],
  used: ["code 已被使用", "Code already used"],
  risky: ["高风险用户", "Risky user"],
  hang: ["永不应答", "Never answers"],
  slow: ["慢两秒", "Two seconds late"],
  gateway: ["网关错误", "Bad gateway"],
  truncated: ["应答截断", "Cut-off reply"],
  page: ["应答是网页", "A web page"],
  reset: ["连接被重置", "Connection reset"],
  backendUp: ["后端 {0}", "Backend {0}"],
  backendDown: ["后端没有应答", "No backend answers"],
  backendNone: ["没有配置后端", "No backend configured"],
  downTitle: ["后端还没有启动", "The backend is not running"],
  downText: ["{0} 没有应答。最省事的办法：停掉这个模拟器，运行下面的命令，它会把后端和模拟器一起启动。", "Nobody answers at {0}. Easiest: stop this simulator and run this command, which starts both."],
  noneText: ["启动模拟器时没有给出 --backend。最省事的办法：停掉它，运行下面的命令，它会把后端和模拟器一起启动。", "The simulator was started without --backend. Easiest: stop it and run this command, which starts both."],
  theme: ["深浅色", "Theme"],
  auto: ["跟随系统", "Auto"],
  light: ["浅色", "Light"],
  dark: ["深色", "Dark"],
  wechat: ["微信", "WeChat"],
  whoAmI: ["这台手机是谁的", "Whose phone is this"],
  add: ["添加", "Add"],
  blocked: ["被拦截", "blocked"],
  programs: ["小程序", "Mini-programs"],
  open: ["打开", "Open"],
  sampleName: ["开门示例", "Kaimen sample"],
  close: ["关闭小程序", "Close the mini-program"],
  welcome: ["敲敲门，就进来。", "Knock, and come in."],
  welcomeText: ["用微信身份登录，不用密码。", "Sign in with WeChat, without a password."],
  login: ["微信登录", "Log in with WeChat"],
  loggingIn: ["正在开门…", "Opening…"],
  newUser: ["新用户", "New user"],
  knownUser: ["老朋友", "Returning"],
  noName: ["还没有昵称", "No nickname yet"],
  noPhone: ["未绑定手机", "No phone yet"],
  accessToken: ["访问令牌", "Access token"],
  refreshToken: ["刷新令牌", "Refresh token"],
  expired: ["已过期", "expired"],
  days: ["{0} 天", "{0} d"],
  bindPhone: ["绑定手机号", "Bind phone"],
  fillProfile: ["填写资料", "Fill profile"],
  refresh: ["轮换令牌", "Rotate tokens"],
  fetchInfo: ["查看资料", "My info"],
  replay: ["重放 code", "Replay the code"],
  logout: ["退出登录", "Log out"],
  okLoginNew: ["第一次见面：已自动注册", "First visit: registered"],
  okLogin: ["认出来了，已登录", "Recognised, logged in"],
  okPhone: ["手机号已绑定：{0}", "Phone bound: {0}"],
  okProfile: ["解密得到昵称：{0}", "Decrypted nickname: {0}"],
  okRefresh: ["令牌已轮换，会话不变", "Tokens rotated, same session"],
  okInfo: ["资料已更新，绑定了 {0} 个应用", "Info fetched, bound to {0} app(s)"],
  okReplaySame: ["幂等：同一会话，没有再问微信", "Idempotent: same session, WeChat not asked again"],
  okReplayOther: ["得到了另一个会话", "A different session came back"],
  okLogout: ["已退出", "Logged out"],
  failed: ["失败", "Failed"],
  addUser: ["微信用户", "WeChat user"],
  userName: ["名字（用作标识）", "Name (its key here)"],
  nickname: ["昵称", "Nickname"],
  phoneNumber: ["手机号", "Phone number"],
  hasUnionid: ["有 unionid", "Has a unionid"],
  isBlocked: ["被微信拦截（40226）", "Blocked by WeChat (40226)"],
  cancel: ["取消", "Cancel"],
  save: ["保存", "Save"],
};

let column = 0;

export function setLanguage(language) {
  column = language === "en" ? 1 : 0;
  document.documentElement.lang = column ? "en" : "zh-CN";
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-t-label]")) {
    node.setAttribute("aria-label", t(node.dataset.tLabel));
  }
}

export const language = () => (column ? "en" : "zh");

export function t(key, ...values) {
  return TEXTS[key][column].replace(/\{(\d)\}/g, (_, index) => String(values[index]));
}

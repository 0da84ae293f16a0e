// Texts of the demo, Chinese and English.

const TEXTS = {
  headline: ["扫一扫，\n门就开了。", "Scan it, \nand the door opens."],
  lead: ["微信扫码登录网页：手机上一点「确认」，这一页马上就登录了。右边是一部模拟手机，不需要真的微信。", "QR sign-in for web pages: tap confirm on the phone and this page is signed in at once. On the right is a simulated phone; no WeChat needed."],
  ways: ["登录方式", "Way to sign in"],
  page: ["网页二维码", "Web QR"],
  miniprogram: ["小程序码", "Mini-program"],
  official: ["公众号", "Official account"],
  password: ["账号密码", "Password"],
  heard: ["这一页听到的事件", "What this page heard"],
  none: ["还没有", "Nothing yet"],
  phone: ["模拟手机", "Simulated phone"],
  who: ["你是谁？", "Who are you?"],
  scan: ["用模拟手机扫一扫", "Scan with the simulated phone"],
  noCode: ["先在页面上显示一个二维码", "Show a code on the page first"],
  scanning: ["正在扫…", "Scanning…"],
  asks: ["登录网页", "Sign in to a page"],
  asksHint: ["确认是你自己在登录", "Only if it is you"],
  site: ["网站", "Site"],
  browser: ["浏览器", "Browser"],
  address: ["地址", "Address"],
  at: ["时间", "Time"],
  number: ["页面上的数字是哪个？", "Which number is on the page?"],
  wrongNumber: ["不是这个数字，再看看", "Not that one, look again"],
  confirm: ["确认登录", "Confirm"],
  cancel: ["取消", "Cancel"],
  confirmed: ["已确认", "Confirmed"],
  confirmedHint: ["看看页面", "Look at the page"],
  cancelled: ["已取消", "Cancelled"],
  cancelledHint: ["没有人登录", "Nobody was signed in"],
  again: ["好", "OK"],
  failed: ["不行：{0}", "No: {0}"],
  logout: ["退出登录", "Sign out"],
  logoutAll: ["全部退出", "Everywhere"],
  otherTab: ["再开一个标签页试试：一处退出，处处都知道。", "Open a second tab: sign out in one, and both know."],
  userId: ["用户 ID", "User id"],
  username: ["用户名", "Username"],
  mobile: ["手机", "Phone"],
  since: ["注册于", "Since"],
  nameless: ["微信用户", "WeChat user"],
  ended: ["登录在别处结束了", "The session was ended elsewhere"],
  lang: ["English", "中文"],
  auto: ["跟随系统", "Auto"],
  light: ["浅色", "Light"],
  dark: ["深色", "Dark"],
};

let index = 0;

export const language = () => (index ? "en" : "zh");

export function setLanguage(name) {
  index = name === "en" ? 1 : 0;
}

export function t(name, ...values) {
  return values.reduce((filled, value, at) => filled.replace(`{${at}}`, () => value), TEXTS[name][index]);
}

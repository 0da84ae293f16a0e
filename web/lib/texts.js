// Every text, Chinese and English; {0} is filled in.

const TEXTS = {
  title: ["微信扫码登录", "Sign in with WeChat"],
  hint: ["打开微信，扫一扫", "Open WeChat and scan"],
  hold: ["长按二维码，选择「识别」", "Press and hold the code"],
  qr: ["登录二维码，请用微信扫一扫", "Sign-in QR code: scan it with WeChat"],
  number: ["核对数字", "Number"],
  numberHint: ["在手机上选这个数字", "Pick it on the phone"],
  loading: ["正在取二维码…", "Getting a code…"],
  lasts: ["{0} 后失效", "Expires in {0}"],
  lost: ["连接断了，正在重连…", "Connection lost, trying again…"],
  scannedBy: ["{0} 已扫码", "Scanned by {0}"],
  scanned: ["已扫码", "Scanned"],
  confirm: ["在手机上选对数字，再确认", "Pick the number on the phone, then confirm"],
  redeeming: ["正在登录…", "Signing in…"],
  welcome: ["欢迎，{0}", "Welcome, {0}"],
  welcomeAll: ["登录成功", "You are signed in"],
  opened: ["门开了", "The door is open"],
  cancelled: ["已在手机上取消", "Cancelled on the phone"],
  cancelledHint: ["没有人登录", "Nobody was signed in"],
  expired: ["二维码过期了", "This code has expired"],
  expiredHint: ["换一个新的再扫", "Get a new one and scan again"],
  failed: ["没有登录成功", "That did not work"],
  renew: ["换一个二维码", "New code"],
  retry: ["再试一次", "Try again"],

  passwordTitle: ["账号登录", "Sign in"],
  registerTitle: ["注册账号", "Create an account"],
  username: ["用户名", "Username"],
  password: ["密码", "Password"],
  show: ["显示密码", "Show password"],
  hide: ["隐藏密码", "Hide password"],
  login: ["登录", "Sign in"],
  register: ["注册", "Create account"],
  toRegister: ["没有账号？注册一个", "No account? Create one"],
  toLogin: ["已有账号？去登录", "Have an account? Sign in"],
  busy: ["请稍候…", "One moment…"],
  waiting: ["{0} 秒后可再试", "Try again in {0} s"],
  usernameEmpty: ["请填写用户名", "Enter your username"],
  passwordEmpty: ["请填写密码", "Enter your password"],
  usernameForm: ["3–20 位字母或数字", "3 to 20 letters or digits"],
  ruleLength: ["8–128 个字符", "8–128 characters"],
  ruleLower: ["小写字母", "lower-case letter"],
  ruleUpper: ["大写字母", "upper-case letter"],
  ruleDigit: ["数字", "digit"],
  ruleSpecial: ["特殊字符", "special character"],
  weak: ["密码还缺：{0}", "Still missing: {0}"],
  comma: ["、", ", "],
  common: ["这个密码太常见，换一个吧", "This password is too common; choose another"],
};

// What people can do about it, by code; any other failure shows the server's own words.
const ERRORS = {
  0: ["连不上服务器，请检查网络", "The server cannot be reached; check your network"],
  4013: ["用户名或密码不对", "Wrong username or password"],
  4032: ["这个网站还没有被允许使用扫码登录", "This site is not allowed to sign people in"],
  4034: ["账号已被停用，请联系管理员", "This account is disabled; ask the administrator"],
  4042: ["没有配置这个 appid", "This appid is not configured"],
  4090: ["这个用户名已经有人用了", "This username is taken"],
  4101: ["这次扫码已经用过了", "This code has been used already"],
  4290: ["操作太频繁，歇一会儿再试", "Too many requests; wait a moment"],
  4291: ["密码错的次数太多，先歇一会儿", "Too many wrong passwords; wait a moment"],
  5001: ["服务暂时不可用，请稍后再试", "The service is not available right now"],
  5002: ["扫码登录暂时不可用，请换一个二维码", "QR sign-in was interrupted; get a new code"],
};

/** The text of that name; what it does not know is an error of ours. */
export function text(language, name, ...values) {
  const found = TEXTS[name][language === "en" ? 1 : 0];
  return values.reduce((filled, value, index) => filled.replace(`{${index}}`, () => value), found);
}

/** What to tell a person of a KaimenError. */
export function errorText(language, error) {
  const found = ERRORS[error.code];
  return found ? found[language === "en" ? 1 : 0] : error.message || text(language, "failed");
}

/** "1:58" of seconds. */
export function clockTime(seconds) {
  const whole = Math.ceil(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

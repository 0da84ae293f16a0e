// Texts of the documentation, Chinese and English; descriptions are the document's own.

const TEXTS = {
  filter: ["筛选接口…", "Filter…"],
  none: ["没有匹配的接口", "Nothing matches"],
  credentials: ["凭证", "Credentials"],
  credentialsHint: ["只留在这一页里；登录成功后自动填入。", "Kept in this page only; filled in after a login."],
  accessToken: ["访问令牌", "Access token"],
  serviceName: ["服务名", "Service name"],
  serviceSecret: ["服务密钥", "Service secret"],
  parameters: ["参数", "Parameters"],
  body: ["请求体", "Request body"],
  replies: ["响应", "Replies"],
  failures: ["错误", "Errors"],
  request: ["请求", "Request"],
  reply: ["响应示例", "Example reply"],
  required: ["必填", "required"],
  optional: ["可能没有", "optional"],
  orNull: ["或 null", "or null"],
  listOf: ["列表：", "list of "],
  user: ["需要登录：访问令牌或 Cookie", "Signed in: access token or cookie"],
  service: ["需要服务凭证", "Service credentials"],
  scope: ["权限", "scope"],
  copy: ["复制", "Copy"],
  copied: ["已复制", "Copied"],
  send: ["发送", "Send"],
  sending: ["发送中…", "Sending…"],
  tryIt: ["试一试", "Try it"],
  lost: ["没有收到响应", "No reply came"],
  broken: ["无法读取接口文档，请刷新重试。", "The documentation could not be read; reload the page."],
  dark: ["深色", "Dark"],
  light: ["浅色", "Light"],
  other: ["English", "中文"],
  empty: ["空", "empty"],
};

let index = (localStorage.getItem("language") || navigator.language || "zh").startsWith("zh") ? 0 : 1;

export const t = (name) => TEXTS[name][index];

export const isChinese = () => index === 0;

export function switchLanguage() {
  index = 1 - index;
  localStorage.setItem("language", index ? "en" : "zh");
}

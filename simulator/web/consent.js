// The fragment never reaches a server: the page itself looks at it, as WeChat does.

if (location.hash !== "#wechat_redirect") {
  const fault = document.getElementById("fault");
  fault.textContent = document.documentElement.lang === "en" ? fault.dataset.en : fault.dataset.zh;
  for (const button of document.querySelectorAll("button")) button.disabled = true;
}

// The dialog that adds a WeChat user, or changes the one of that name.

import { post } from "./sim.js";

export class AddUser {
  constructor(done) {
    this.dialog = document.getElementById("add-user");
    this.form = this.dialog.querySelector("form");
    this.done = done;
    this.form.addEventListener("submit", (event) => this.submit(event));
    document.getElementById("add-user-cancel").addEventListener("click", () => this.dialog.close());
  }

  open() {
    this.form.reset();
    this.showError("");
    this.dialog.showModal();
  }

  showError(text) {
    document.getElementById("add-user-error").textContent = text;
  }

  async submit(event) {
    event.preventDefault();
    const { name, nickname, phone, unionid, blocked } = this.form.elements;
    const user = { name: name.value.trim(), unionid: unionid.checked, blocked: blocked.checked };
    if (nickname.value) user.nickname = nickname.value;
    if (phone.value) user.phone = phone.value.trim();
    try {
      await post("/sim/users", user);
    } catch (error) {
      this.showError(error.message);
      return;
    }
    this.dialog.close();
    this.done(user.name);
  }
}

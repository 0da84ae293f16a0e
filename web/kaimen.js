// For pages without modules: <script src="https://…/web/kaimen.js" defer></script> defines the elements and, once they
// are there, sets `window.kaimen` and resolves `window.kaimenReady` with the same: everything of index.js.

window.kaimenReady = import(new URL("index.js", document.currentScript.src).href).then((all) => (window.kaimen = all));

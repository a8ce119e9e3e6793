// The code of a link stands behind the #, where only this page sees it: it is sent as the form would send it. Another link that
// is opened where a bundle is shown changes nothing but that code.
function open() {
  const code = decodeURIComponent(location.hash.slice(1));
  const form = document.querySelector("#code-form, form[action='/shared/file']");
  if (!code || !form) return;
  form.action = "/shared";
  form.elements.code.value = code;
  form.submit();
}

addEventListener("hashchange", open);
open();

// The code of a link stands behind the #, where only this page sees it: it is sent as the form would send it.
const code = decodeURIComponent(location.hash.slice(1));
const form = document.getElementById("code-form");
if (code && form) {
  form.elements.code.value = code;
  form.submit();
}

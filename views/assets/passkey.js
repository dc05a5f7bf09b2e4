// Lets the browser ask an authenticator where a page has something to ask it: what needs a script is shown by the script.
// What is asked comes with the page, and what is answered goes back in a form; nothing else is known here.

const {
  WebAuthnAbortService,
  browserSupportsWebAuthn,
  browserSupportsWebAuthnAutofill,
  platformAuthenticatorIsAvailable,
  startAuthentication,
  startRegistration,
} = globalThis.SimpleWebAuthnBrowser ?? {}

/** A challenge is good for five minutes; the page gets another before that. */
const fresh = 240_000

const boxOn = (page) => page.querySelector('[data-passkey]')

const ask = (box, autofill) => {
  const optionsJSON = JSON.parse(box.dataset.options)
  if (box.dataset.passkey === 'create') return startRegistration({ optionsJSON })
  return startAuthentication({ optionsJSON, useBrowserAutofill: autofill })
}

const send = (form, credential) => {
  form.elements.credential.value = JSON.stringify(credential)
  form.submit()
}

const onPress = async (event, box, form) => {
  event.preventDefault()
  const said = box.querySelector('[data-said]')
  const [button] = form.querySelectorAll('button[type=submit]')
  said.textContent = ''
  button.disabled = true
  try {
    send(form, await ask(box, false))
  } catch (error) {
    // Which of its reasons it was is the browser's secret, but for this one.
    said.textContent =
      error.code === 'ERROR_AUTHENTICATOR_PREVIOUSLY_REGISTERED' ? box.dataset.known : box.dataset.failed
    button.disabled = false
    button.focus()
    if (box.dataset.autofill !== undefined) fillIn(box, form)
  }
}

/** Offers passkeys where the name is typed; it waits until one is chosen or another question takes its place. */
const fillIn = async (box, form) => {
  if (!(await browserSupportsWebAuthnAutofill())) return
  try {
    send(form, await ask(box, true))
  } catch {
    // Nobody chose one.
  }
}

const renew = async (box, form) => {
  const answer = await fetch(location.href, { headers: { Accept: 'text/html' } }).catch(() => undefined)
  // Only the box is read: the rest of the page has a style of its own, which is not for this one.
  const [tag] = (answer?.ok && (await answer.text()).match(/<div class="passkey"[^>]*>/)) || []
  const newer = tag && boxOn(new DOMParser().parseFromString(tag, 'text/html'))?.dataset.options
  if (!newer) return
  box.dataset.options = newer
  if (box.dataset.autofill === undefined) return
  WebAuthnAbortService.cancelCeremony()
  fillIn(box, form)
}

const open = (box) => {
  const form = box.querySelector('form')
  box.hidden = false
  form.addEventListener('submit', (event) => onPress(event, box, form))
  setInterval(() => renew(box, form), fresh)
  if (box.dataset.autofill !== undefined) fillIn(box, form)
}

/** Tells the server with whatever is sent next that this browser can make passkeys. */
const tell = () => {
  for (const form of document.forms) {
    const field = document.createElement('input')
    Object.assign(field, { type: 'hidden', name: 'passkeys', value: 'able' })
    form.append(field)
  }
}

if (browserSupportsWebAuthn?.()) {
  for (const one of document.querySelectorAll('[data-needs-passkeys]')) one.hidden = false
  for (const one of document.querySelectorAll('[data-without-passkeys]')) one.hidden = true
  const box = boxOn(document)
  if (box) open(box)
  if (await platformAuthenticatorIsAvailable()) tell()
}

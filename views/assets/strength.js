// Shows how strong the password is that is being typed. Nothing of it leaves the page: the estimate is made here, and is
// only advice. What a password must be like is decided by the server.

/** From 0 (guessed at once) to 4 (strong), for a password that must have `least` code points. `told` is known of its owner. */
export const strengthOf = (password, least, told = []) => {
  const bits = bitsOf(password.normalize('NFC'), told)
  const score = [20, 30, 42, 55].filter((limit) => bits >= limit).length
  return Array.from(password).length < least ? Math.min(score, 1) : score
}

/** How many guesses it takes, as a power of two: what people use is counted as they use it, the rest letter by letter. */
const bitsOf = (password, told) => {
  const text = password.toLowerCase()
  const plain = text.replace(/[013457@$!]/g, (sign) => meant[sign])
  const known = told.flatMap((one) => one.toLowerCase().split(/[\s@.]+/)).filter((one) => one.length > 2)
  let bits = 0
  for (let at = 0; at < text.length; ) {
    const found = patternAt(text, plain, known, at)
    bits += found ? found.bits : bitsOfOne(password, at)
    at += found ? found.length : 1
  }
  return bits
}

const patternAt = (text, plain, known, at) => {
  const found = [...wordsAt(plain, known, 1, at), ...wordsAt(plain, common, 9, at), ...runsAt(text, at)]
  return found.sort((one, other) => other.length - one.length)[0]
}

const wordsAt = (plain, words, bits, at) =>
  words.filter((word) => plain.startsWith(word, at)).map(({ length }) => ({ length, bits }))

/** One character again and again, neighbours in an alphabet or on a keyboard, what stood there before, and years. */
const runsAt = (text, at) => {
  const year = /^(19|20)\d\d/.test(text.slice(at)) ? [{ length: 4, bits: 6 }] : []
  const again = longest(at, text.length, (end) => text.slice(0, at).includes(text.slice(at, end)))
  const row = longest(at, text.length, (end) => rows.some((keys) => keys.includes(text.slice(at, end))))
  const same = longest(at, text.length, (end) => text[end - 1] === text[at])
  const runs = [again, row, same].filter((length) => length > 2)
  return [...year, ...runs.map((length) => ({ length, bits: 5 + Math.log2(length) }))]
}

const longest = (at, most, holds) => {
  let end = at
  while (end < most && holds(end + 1)) end += 1
  return end - at
}

/** A letter after its like is mostly one of a word, and told by those before it. */
const bitsOfOne = (password, at) => {
  const one = password[at] ?? ''
  if (/\d/.test(one)) return 3.3
  if (/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u.test(one)) return 6
  if (!/\p{L}/u.test(one)) return 5
  return at > 0 && /\p{L}/u.test(password[at - 1]) && isLower(one) === isLower(password[at - 1]) ? 2.3 : 4.7
}

const isLower = (one) => one === one.toLowerCase()

const meant = { 0: 'o', 1: 'i', 3: 'e', 4: 'a', 5: 's', 7: 't', '@': 'a', $: 's', '!': 'i' }

const forward = [
  'abcdefghijklmnopqrstuvwxyz',
  '01234567890',
  'qwertyuiop',
  'asdfghjkl',
  'zxcvbnm',
  'qwertzuiop',
  '1qaz2wsx3edc',
]
const rows = [...forward, ...forward.map((keys) => Array.from(keys).reverse().join(''))]

const common =
  'password passwort pass letmein welcome willkommen admin login monkey dragon master shadow sunshine princess football baseball soccer hockey superman batman starwars pokemon iloveyou loveme love secret geheim hallo hello charlie michael jordan jennifer jessica ashley thomas robert daniel george andrew joshua matthew summer winter spring autumn sommer freedom whatever trustno computer internet google apple samsung monday friday january flower butterfly cheese chocolate cookie ginger pepper tigger buster killer hunter ranger chelsea arsenal liverpool london berlin paris mustang ferrari porsche mercedes lucky money diamond orange purple silver golden summer angel family forever jesus qazwsx changeme default guest test user root'
    .split(' ')
    .map((word) => word.replace(/[013457@$!]/g, (sign) => meant[sign]))

const watch = (box) => {
  const field = document.getElementById(box.dataset.strength)
  const meter = box.querySelector('meter')
  // Outside of the box: what is hidden when its words come is not read out.
  const text = box.nextElementSibling
  const words = box.dataset.words.split('|')
  const others = () => [...field.form.elements].filter((one) => one !== field && one.type !== 'hidden')
  field.addEventListener('input', () => {
    const told = others().map((one) => one.value ?? '')
    const score = strengthOf(field.value, Number(box.dataset.least), told)
    const said = field.value === '' ? '' : words[score]
    box.hidden = said === ''
    // The weakest has a stroke too.
    meter.value = score + 1
    if (text.textContent !== said) text.textContent = said
  })
}

if (typeof document !== 'undefined') for (const box of document.querySelectorAll('[data-strength]')) watch(box)

// Draws a preview again while its form is being filled in. Without this script, its button does.

const pane = document.querySelector('[data-preview]')
const button = pane.querySelector('button')
const form = button.form

let shown = pane.querySelector('iframe')
let coming
let waiting
let drawn = 0

// A frame that is new leaves no trace in the browser's history; the old one stays until the new one is drawn.
const draw = () => {
  coming?.remove()
  drawn += 1
  const frame = shown.cloneNode()
  coming = frame
  frame.removeAttribute('src')
  frame.name = `preview-${drawn}`
  frame.classList.add('preview-coming')
  shown.after(frame)
  button.formTarget = frame.name
  form.requestSubmit(button)
  frame.addEventListener('load', () => {
    if (frame !== coming) return
    shown.remove()
    frame.classList.remove('preview-coming')
    shown = frame
    coming = undefined
  })
}

const later = () => {
  clearTimeout(waiting)
  waiting = setTimeout(draw, 400)
}

form.addEventListener('input', later)
for (const choice of pane.querySelectorAll('select')) choice.addEventListener('input', later)
button.hidden = true

// Takes the answer of a sign-in on to the client at once; without a script, a button does.

document.querySelector('form[data-send]')?.submit()

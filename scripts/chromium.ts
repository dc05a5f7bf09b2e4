import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium } from '@playwright/test'

/** The path of a Chromium to test with, which is installed where there is none and we may; throws with what to do. */
export const findChromium = (): string => {
  const given = process.env.CHROMIUM_PATH
  if (given && !existsSync(given)) throw new Error(`CHROMIUM_PATH names a file that does not exist: ${given}`)
  const found = given || onMachine() || playwrightsOwn() || installed()
  if (found) return found
  throw new Error('Found no Chromium: install one, or `npx playwright install chromium`, or set CHROMIUM_PATH')
}

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

const places = [
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

const onMachine = (): string | undefined => {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const files = folders.flatMap((folder) => names.map((name) => join(folder, name)))
  return [...files, ...places].find((file) => existsSync(file))
}

const playwrightsOwn = (): string | undefined => [chromium.executablePath()].find((file) => existsSync(file))

const installed = (): string | undefined => {
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return
  console.log('Installing Chromium with apt-get')
  // The lock lets a second run on the same machine wait for the first; the fonts are not among what Chromium needs.
  spawnSync('flock', ['/var/lib/apt', 'sh', '-c', install], {
    stdio: 'inherit',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })
  return onMachine()
}

const install =
  'command -v chromium || { apt-get update -qq && apt-get install -yqq --no-install-recommends chromium fonts-liberation; }'

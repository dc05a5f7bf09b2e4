import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { testDatabase } from '../src/db/testing.ts'
import { accept, expect, heading, press, test } from './operator.ts'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))

test('the first operator comes by the invitation that the first start prints', async ({ page }) => {
  const database = await testDatabase()
  const program = start(database.url)
  try {
    const link = await printedLink(program)
    await page.goto(link)
    await expect(heading(page)).toHaveText('Welcome to Administration')
    await expect(page.getByText('You are invited as admin@example.org.')).toBeVisible()
    await accept(page, link, 'admin@example.org')
    await expect(heading(page)).toHaveText('Dashboard')
    await expect(page.getByText('admin@example.org owner')).toBeVisible()
    await expect(
      page.getByRole('navigation', { name: 'Sections' }).getByRole('link', { name: 'Operators' }),
    ).toBeVisible()
    await press(page, 'Sign out')
    await page.goto(link)
    await expect(heading(page)).not.toHaveText('Welcome to Administration')
    await expect(page.getByLabel('Password')).toHaveCount(0)
  } finally {
    const over = once(program, 'exit')
    program.kill('SIGTERM')
    await over
    await database.close()
  }
})

const start = (databaseUrl: string): ChildProcess => {
  const env = { PATH: process.env.PATH, NODE_ENV: 'test', PORT: '0', HOST: '127.0.0.1', DATABASE_URL: databaseUrl }
  const secrets = 'a-secret-that-only-this-story-knows-0123456789'
  return spawn(process.execPath, [main], {
    env: { ...env, SECRETS: secrets, LOG_LEVEL: 'warn' },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
}

/** Reads what the program prints until it names the link of the first operator. */
const printedLink = (program: ChildProcess): Promise<string> =>
  new Promise((resolve, reject) => {
    let printed = ''
    program.stderr?.on('data', (chunk) => {
      printed += chunk
      const link = printed.match(/First operator: open this once, until \S+\s+(http:\S+)\n/)?.[1]
      if (link) resolve(link)
    })
    program.once('exit', () => reject(new Error(`The program ended without an invitation:\n${printed}`)))
  })

import { defineConfig } from '@playwright/test'
import { findApache } from '../scripts/apache.ts'
import { findChromium } from '../scripts/chromium.ts'

const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run']
const asRoot = process.getuid?.() === 0 ? ['--no-sandbox'] : []

// Asked once: workers read this file too, and have the environment of whoever started them.
if (!process.env.WITHOUT_APACHE && !findApache()) {
  console.warn('There is no Apache with mod_auth_openidc, and none can be installed: its stories are left out.')
  process.env.WITHOUT_APACHE = 'yes'
}

export default defineConfig({
  testIgnore: process.env.WITHOUT_APACHE ? ['**/mod-auth-openidc.spec.ts'] : [],
  testMatch: '*.spec.ts',
  globalSetup: './database.ts',
  fullyParallel: true,
  forbidOnly: true,
  retries: 0,
  workers: 2,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  use: {
    locale: 'en-GB',
    trace: 'off',
    screenshot: 'only-on-failure',
    launchOptions: { executablePath: findChromium(), args: [...asRoot, ...quiet] },
  },
})

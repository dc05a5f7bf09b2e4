import { globalSetup, globalTeardown } from '../scripts/test-setup.ts'

/** For Playwright's `globalSetup`: one PostgreSQL for the whole run, whose address the workers inherit. */
const startDatabase = async () => {
  await globalSetup()
  return globalTeardown
}

export { startDatabase as default }

import { type Browser, type BrowserContext, test as base, expect } from '@playwright/test'
import { type TestLido, testLido } from '../src/testing.ts'
import { type App, type NewApp, openApp, openNewApp } from './app.ts'

export { expect }

type AppWanted = Parameters<typeof openApp>[1]

interface Telling {
  /** Opens an application of somebody else's, which is a client of a workspace. */
  application(wanted: AppWanted): Promise<App>
  /** Opens one that nobody has registered yet. */
  newApplication(name: string): Promise<NewApp>
  /** Opens another browser, or another device. */
  another(options?: Parameters<Browser['newContext']>[0]): Promise<BrowserContext>
  faults: string[]
}

/** A story: people at browsers and one server a worker. Whatever a browser complains about fails it. */
export const test = base.extend<Telling, { lido: TestLido }>({
  lido: [
    // Playwright reads what a fixture needs from this parameter, and insists on one.
    async ({ browserName: _ }, use) => {
      const lido = await testLido({ EGRESS_ALLOW: '127.0.0.1' })
      await use(lido)
      await lido.stop()
    },
    { scope: 'worker' },
  ],

  faults: [
    async ({ context }, use) => {
      const faults: string[] = []
      listen(context, faults)
      await use(faults)
      expect(faults, 'what the browsers complained about').toEqual([])
    },
    { auto: true },
  ],

  another: async ({ browser, faults }, use) => {
    const opened: BrowserContext[] = []
    await use(async (options) => {
      const context = await browser.newContext(options)
      listen(context, faults)
      opened.push(context)
      return context
    })
    for (const context of opened) await context.close()
  },

  application: async ({ lido }, use) => {
    const opened: App[] = []
    await use(async (wanted) => {
      const app = await openApp(lido, wanted)
      opened.push(app)
      return app
    })
    for (const app of opened) await app.close()
  },

  // Playwright reads what a fixture needs from this parameter, and insists on one.
  newApplication: async ({ browserName: _ }, use) => {
    const opened: App[] = []
    await use(async (name) => {
      const app = await openNewApp(name)
      opened.push(app)
      return app
    })
    for (const app of opened) await app.close()
  },
})

/** Collects violations of the Content-Security-Policy, errors, and what Chromium has to say of forms. */
const listen = (context: BrowserContext, faults: string[]): void => {
  context.on('weberror', (error) => faults.push(String(error.error())))
  context.on('console', (message) => {
    const missing = message.text().startsWith('Failed to load resource: the server responded')
    // A form with two secrets of another system looks to Chromium like two sign-ins.
    const secrets = message.text().startsWith('[DOM] Multiple forms should be contained')
    if ((message.type() === 'error' && !missing) || (message.text().startsWith('[DOM]') && !secrets))
      faults.push(message.text())
  })
  context.on('response', (response) => {
    const document = response.request().resourceType() === 'document'
    if (response.status() >= (document ? 500 : 400)) faults.push(`${response.status()} ${response.url()}`)
  })
}

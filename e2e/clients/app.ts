import { readFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Page } from '@playwright/test'
import * as clients from '../../src/directory/clients.ts'
import type { TestLido } from '../../src/testing.ts'
import { signIn, step } from '../acts.ts'
import { test as base, expect } from '../story.ts'
import { makePerson, makeWorkspace } from '../world.ts'

export { expect }

type Metadata = Omit<Parameters<typeof clients.create>[3], 'id' | 'client_name' | 'keyring'>

/** What an application is told about Lido once it is registered. */
export interface Registered {
  issuer: string
  id: string
  secret: string
}

/** A workspace of a client's own, with somebody in it. */
interface Town {
  issuer: string
  email: string
  /** Registers a client of the workspace's own. */
  register(metadata: Metadata): Promise<Registered>
}

interface Offered {
  town: Town
  /**
   * Starts an application, which is made with the address that it is at; answers that address. On `localhost` it is of
   * the same site as Lido, on 127.0.0.1 it is of another.
   */
  serve(make: (url: string) => Promise<RequestListener>, host?: 'localhost' | '127.0.0.1'): Promise<string>
}

/** A story of a client library: a town, and applications that stop with the story. */
export const test = base.extend<Offered>({
  town: async ({ lido }, use) => use(await openTown(lido)),

  // Playwright reads what a fixture needs from this parameter, and insists on one.
  serve: async ({ browserName: _ }, use) => {
    const closing: (() => Promise<unknown>)[] = []
    await use(async (make, host = '127.0.0.1') => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      closing.push(() => {
        server.closeAllConnections()
        return new Promise((resolve) => server.close(resolve))
      })
      const url = `http://${host}:${(server.address() as AddressInfo).port}`
      server.on('request', await make(url))
      return url
    })
    for (const close of closing) await close()
  },
})

const openTown = async (lido: TestLido): Promise<Town> => {
  const world = await makeWorkspace(lido, { name: 'Harbour' }, [{ name: 'Residents' }])
  const issuer = `${lido.url}/w/${world.slug}`
  const { db, clock, keyring } = lido.services
  return {
    issuer,
    email: await makePerson(lido, world.pools[0]),
    register: async (metadata) => {
      const client = { id: crypto.randomUUID(), client_name: 'Bathing huts', first_party: true, keyring, ...metadata }
      const { id, secret = '' } = await clients.create(db, clock.now(), world.id, client)
      return { issuer, id, secret }
    },
  }
}

/** A page of an application on a server. */
export const page = (heading: string, links: Record<string, string> = {}): string => {
  const list = Object.entries(links).map(([words, to]) => `<a href="${to}">${words}</a>`)
  return `<!doctype html><title>Huts</title><link rel="icon" href="data:,"><h1>${heading}</h1>${list.join(' ')}`
}

/** An application in the browser: what it was told is at /settings.json; files are of this folder, or at addresses of their own. */
export const inBrowser =
  (settings: object, files: Record<string, string>): RequestListener =>
  async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://app').pathname
    if (path === '/settings.json')
      return void response.setHeader('Content-Type', 'application/json').end(JSON.stringify(settings))
    const file = files[path]
    if (!file) return void response.writeHead(404).end()
    const type = file.endsWith('.js') ? 'text/javascript' : 'text/html'
    const text = await readFile(new URL(file, import.meta.url))
    response.setHeader('Content-Type', `${type}; charset=utf-8`).end(text)
  }

/** Begins at the application, signs in on Lido's pages, and waits to be back. */
export const signInAt = async (page: Page, url: string, email: string): Promise<void> => {
  await page.goto(url)
  await expect(page.getByRole('heading')).toHaveText('Nobody')
  await page
    .getByRole('link', { name: 'Sign in' })
    .or(page.getByRole('button', { name: 'Sign in' }))
    .click()
  await expect(step(page)).toHaveAttribute('data-step', 'identify')
  await signIn(page, email)
  await expect(page.getByRole('heading')).toHaveText(`Hello ${email}`)
}

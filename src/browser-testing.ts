import { createHash, randomBytes } from 'node:crypto'

/** A page as a browser without JavaScript has it. */
export interface Page {
  status: number
  url: string
  html: string
  headers: Headers
  /** What `<main data-step>` says. */
  step: string | undefined
  /** What stands in elements with `role="alert"`, as text. */
  alert: string | undefined
}

/** A browser without JavaScript: a cookie jar with paths, redirects, pages that go on by themselves, and one form a page. */
export interface Browser {
  page: Page
  cookies: Map<string, { value: string; path: string }>
  get(url: string, headers?: Record<string, string>): Promise<Page>
  /** Fills in and sends the form of the page; what is not named keeps its value. */
  submit(fields?: Record<string, string>, headers?: Record<string, string>): Promise<Page>
  /** Sends a form anywhere, as it is. */
  post(url: string, fields: Record<string, string>, headers?: Record<string, string>): Promise<Page>
  /** The address that a link of the page with this text leads to. */
  link(text: string): string
}

export const openBrowser = (base: string, send: typeof fetch = fetch): Browser => {
  const cookies: Browser['cookies'] = new Map()
  let page: Page = { status: 0, url: base, html: '', headers: new Headers(), step: undefined, alert: undefined }

  const request = async (url: URL, init: RequestInit, hops = 0): Promise<Page> => {
    const headers = new Headers(init.headers)
    const sent = [...cookies].filter(([, { path }]) => url.pathname.startsWith(path))
    if (sent.length > 0)
      headers.set('Cookie', sent.map(([name, { value }]) => `${name.split('@')[0]}=${value}`).join('; '))
    headers.set('Accept', headers.get('Accept') ?? 'text/html')
    const response = await send(url, { ...init, headers, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) keep(cookies, line, url)
    const location = response.headers.get('Location')
    const next = location && new URL(location, url)
    if (next && next.origin === new URL(base).origin && hops < 20) {
      await response.arrayBuffer()
      return request(next, { method: 'GET' }, hops + 1)
    }
    const onward = next ? undefined : response.headers.get('Refresh')?.match(/^0; url=(.+)$/)?.[1]
    const after = onward && new URL(onward, url)
    if (after && after.origin === new URL(base).origin && hops < 20) {
      await response.arrayBuffer()
      return request(after, { method: 'GET' }, hops + 1)
    }
    const html = await response.text()
    page = {
      status: response.status,
      url: next ? next.href : url.href,
      html,
      headers: response.headers,
      step: html.match(/<main data-step="([^"]+)"/)?.[1],
      alert: textOf(html.match(/<(\w+)[^>]*role="alert"[^>]*>([\s\S]*?)<\/\1>/)?.[2]),
    }
    return page
  }

  const post: Browser['post'] = (url, fields, headers = {}) =>
    request(new URL(url, page.url), {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', Origin: base, ...headers },
      body: new URLSearchParams(fields).toString(),
    })

  return {
    get page() {
      return page
    },
    cookies,
    get: (url, headers = {}) => request(new URL(url, page.url), { method: 'GET', headers }),
    post,
    submit: (fields = {}, headers = {}) => {
      const form = page.html.match(/<form[^>]*action="([^"]*)"[^>]*>([\s\S]*?)<\/form>/)
      if (!form) throw new Error(`There is no form on the page at ${page.url} (${page.status}): ${textOf(page.html)}`)
      return post(plainText(form[1] ?? ''), { ...valuesOf(form[2] ?? ''), ...fields }, headers)
    },
    link: (text) => {
      const found = [...page.html.matchAll(/<a[^>]*href="([^"]*)"[^>]*>([^<]*)<\/a>/g)].find(
        ([, , label]) => plainText(label ?? '') === text,
      )
      if (!found) throw new Error(`There is no link "${text}" on the page at ${page.url}.`)
      return plainText(found[1] ?? '')
    },
  }
}

/** An authorization request with PKCE, as a public client makes it. */
export const authorizeUrl = (base: string, workspace: string, parameters: Record<string, string>) => {
  const verifier = randomBytes(32).toString('base64url')
  const url = new URL(`${base}/w/${workspace}/authorize`)
  url.search = new URLSearchParams({
    response_type: 'code',
    scope: 'openid',
    state: randomBytes(8).toString('hex'),
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...parameters,
  }).toString()
  return { url: url.href, verifier }
}

const keep = (cookies: Browser['cookies'], line: string, url: URL): void => {
  const [pair = '', ...attributes] = line.split('; ')
  const name = pair.slice(0, pair.indexOf('='))
  const value = pair.slice(pair.indexOf('=') + 1)
  const path = attributes.find((one) => /^path=/i.test(one))?.slice(5) ?? url.pathname
  const key = `${name}@${path}`
  if (attributes.some((one) => /^expires=Thu, 01 Jan 1970/i.test(one))) cookies.delete(key)
  else cookies.set(key, { value, path })
}

const valuesOf = (form: string): Record<string, string> => {
  const values: Record<string, string> = {}
  for (const [tag] of form.matchAll(/<input[^>]*>/g)) {
    const name = tag.match(/ name="([^"]*)"/)?.[1]
    if (name && name !== 'username') values[plainText(name)] = plainText(tag.match(/ value="([^"]*)"/)?.[1] ?? '')
  }
  return values
}

const textOf = (html: string | undefined): string | undefined =>
  html &&
  plainText(
    html
      .replace(/<[^>]*>/g, ' ')
      .replace(/\s+/g, ' ')
      .trim(),
  )

const plainText = (text: string): string =>
  text
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')

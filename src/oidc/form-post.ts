import type { Context, Next } from 'koa'
import type { Workspace } from '../directory/workspaces.ts'
import type { EnginePages } from './wiring.ts'

/** An answer that the browser takes to the client in a form (OAuth 2.0 Form Post Response Mode). */
export interface PostedAnswer {
  action: string
  fields: { name: string; value: string }[]
}

/** Shows our own page in place of the engine's, which sends itself by a script that stands in it. */
export const showFormPost =
  (pages: EnginePages, workspace: Workspace) =>
  async (ctx: Context, next: Next): Promise<void> => {
    await next()
    const answer = ctx.path.startsWith('/authorize') && typeof ctx.body === 'string' ? readAnswer(ctx.body) : undefined
    if (answer) await pages.formPost(ctx, workspace, answer)
  }

const readAnswer = (html: string): PostedAnswer | undefined => {
  const [, action] = html.match(/<title>Submitting Callback<\/title>[\s\S]*<form method="post" action="([^"]*)">/) ?? []
  if (action === undefined) return undefined
  const inputs = html.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"\/>/g)
  return {
    action: plain(action),
    fields: [...inputs].map(([, name = '', value = '']) => ({ name, value: plain(value) })),
  }
}

const plain = (text: string): string =>
  text
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&#x27;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')

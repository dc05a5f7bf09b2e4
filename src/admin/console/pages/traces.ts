import { Problem } from '../../../platform/problem.ts'
import type { Json } from '../../openapi.ts'
import { type ConsolePage, call, type Outcome, type Visit } from '../page.ts'

const ask = (visit: Visit): Outcome => {
  const trace = visit.query.trace?.trim()
  if (trace) return { to: `/console/traces/${encodeURIComponent(trace)}` }
  return { show: drawing({ trace: '', alert: null, story: null }) }
}

const show = async (visit: Visit): Promise<Outcome> => {
  const trace = visit.params.trace ?? ''
  try {
    const { body } = await call(visit, 'getTrace')
    return { show: drawing({ trace, alert: null, story: storyOf(body) }) }
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== 'not_found') throw error
    const alert = 'Nothing is known behind this reference. References are kept for 30 days.'
    return { show: { ...drawing({ trace, alert, story: null }), status: 404 } }
  }
}

const drawing = (values: Json) => ({ view: 'console/trace', title: 'Sign-in X-ray', values })

/** A story as the page tells it: the facts that there are, and each step in words. */
const storyOf = (body: Json): Json => {
  const { workspace, pool, interaction, steps, ...rest } = body as {
    workspace: Json | null
    pool: Json | null
    interaction: Json | null
    steps: Json[]
  } & Json
  return {
    ...rest,
    workspace: workspace?.slug ?? null,
    pool: pool?.slug ?? null,
    interaction,
    user: interaction?.user_id ?? null,
    steps: steps.map((step) => ({ ...step, here: step.trace === body.trace, say: sayOf(step) })),
    log: interaction ? `/console/events?${new URLSearchParams({ interaction: String(interaction.id) })}` : null,
  }
}

/** `prove:password` → "Prove: password". */
const sayOf = ({ did }: Json): string => {
  const text = String(did).replaceAll('_', ' ').replace(':', ': ')
  return text.charAt(0).toUpperCase() + text.slice(1)
}

export const tracePages: ConsolePage[] = [
  { method: 'GET', path: '/traces', handle: ask },
  { method: 'GET', path: '/traces/{trace}', handle: show },
]

import { z } from 'zod'
import { sha256 } from '../../platform/secrets.ts'
import type { Tried } from '../sources/source.ts'
import { ourMetadata } from './saml-metadata.ts'
import { attributesOf, methodsOf, nameIdOf, personOf, sessionOf } from './saml-person.ts'
import { authnRequest, entityIdOf, logoutRequest, newRequestId, redirectTo } from './saml-request.ts'
import { readResponse, type Stated } from './saml-response.ts'
import { readCertificate, type SamlSettings, samlSettings } from './saml-settings.ts'
import { decodeXml, ns, onlyChild, textOf } from './saml-xml.ts'
import type { Arrived, Departing, NotArrived, Returned, Upstream, UpstreamTools } from './upstream.ts'

/**
 * Any SAML 2.0 identity provider (Web Browser SSO profile: HTTP-Redirect there, HTTP-POST back). What somebody says
 * is read from a signed assertion alone that answers a request of ours, once.
 */
export const saml: Upstream<SamlSettings> = {
  name: 'saml',
  settings: samlSettings,
  secrets: ['signing_key'],
  open: (settings, tools) => ({
    depart: async (at) => depart(settings, tools, at),
    arrive: async (returned, kept, at) => {
      try {
        return await arrive(settings, tools, returned, kept, at)
      } catch {
        return { is: 'unavailable', detail: 'The answer could not be checked.' }
      }
    },
    leave: async (session, at) => leave(settings, tools, session, at),
    test: async () => [
      ...settings.certificates.map((text) => tryCertificate(text, tools)),
      await tryPlace(settings, tools),
    ],
    metadata: (callback) => ({ type: 'application/samlmetadata+xml', body: ourMetadata(settings, callback) }),
  }),
}

/** What is kept of a request until it is answered; `since`: when they have to have proved themselves, in seconds. */
const keptRequest = z.strictObject({ id: z.string(), since: z.number().optional() })

const depart = (settings: SamlSettings, { clock }: UpstreamTools, at: Departing) => {
  const now = clock.now()
  const id = newRequestId()
  const fresh = settings.force_authn || at.fresh === true || at.maxAge === 0
  const xml = authnRequest(settings, { id, now, callback: at.callback, fresh, acrValues: at.acrValues ?? [] })
  const to = redirectTo(settings.sso_url, xml, at.state, settings.sign_requests ? settings.signing_key : null)
  if (settings.send_login_hint && at.loginHint) to.search += `&login_hint=${encodeURIComponent(at.loginHint)}`
  const seconds = Math.floor(now.getTime() / 1000)
  const since = fresh ? seconds : at.maxAge === undefined ? undefined : seconds - at.maxAge
  return { is: 'ok' as const, to, keep: { id, since } satisfies z.infer<typeof keptRequest> }
}

const arrive = async (
  settings: SamlSettings,
  tools: UpstreamTools,
  { method, fields }: Returned,
  kept: unknown,
  at: Pick<Departing, 'callback' | 'state'>,
): Promise<Arrived | NotArrived> => {
  const request = keptRequest.safeParse(kept)
  if (!request.success) return refused('No request is known that this would answer.')
  if (method !== 'POST' || !fields.SAMLResponse) return refused('No SAML response came by POST')
  if (fields.RelayState !== at.state) return refused('The RelayState is another.')
  const xml = decodeXml(fields.SAMLResponse)
  if (xml === undefined) return refused('The response is too long, or neither base64 nor UTF-8.')
  const stated = await readResponse(xml, {
    issuer: settings.entity_id,
    audience: entityIdOf(at.callback),
    callback: at.callback,
    requestId: request.data.id,
    certificates: settings.certificates.flatMap((text) => readCertificate(text)?.toString() ?? []),
    now: tools.clock.now(),
    skewSeconds: settings.allow_clock_skew_seconds,
    provedSince: request.data.since === undefined ? undefined : new Date(request.data.since * 1000),
  })
  return stated.is === 'ok' ? welcome(settings, tools, stated, at.callback) : stated
}

const refused = (detail: string): NotArrived => ({ is: 'refused', detail })

const welcome = async (
  settings: SamlSettings,
  tools: UpstreamTools,
  { id, until, assertion, authn, at }: Stated,
  callback: string,
): Promise<Arrived | NotArrived> => {
  const nameId = nameIdOf(assertion)
  const attributes = attributesOf(assertion)
  const user = personOf(settings, nameId, attributes)
  if (typeof user === 'string') return refused(user)
  const isFirst = await tools.once(`saml:${sha256(JSON.stringify([settings.entity_id, id]))}`, until)
  if (!isFirst) return refused('The assertion was used before.')
  const context = onlyChild(authn, ns.assertion, 'AuthnContext')
  const acr = textOf(onlyChild(context, ns.assertion, 'AuthnContextClassRef'))
  return {
    is: 'ok',
    user,
    acr,
    amr: methodsOf(acr, attributes),
    at,
    session: sessionOf(entityIdOf(callback), nameId, authn),
  }
}

const samlSession = z.strictObject({
  ours: z.string(),
  name_id: z.string(),
  attributes: z.record(z.string(), z.string()),
  index: z.string().optional(),
})

const leave = (
  settings: SamlSettings,
  { clock }: UpstreamTools,
  session: unknown,
  { state }: { state: string },
): URL | undefined => {
  const known = samlSession.safeParse(session)
  if (settings.slo_url === null || !known.success) return undefined
  const xml = logoutRequest(settings.slo_url, known.data, clock.now())
  return redirectTo(settings.slo_url, xml, state, settings.signing_key)
}

const tryCertificate = (text: string, { clock }: UpstreamTools): Tried => {
  const certificate = readCertificate(text)
  if (!certificate) return { name: 'certificate', ok: false, detail: 'The certificate cannot be read.' }
  const name = `certificate ${certificate.fingerprint256.slice(0, 23)}`
  const end = certificate.validToDate
  const day = end.toISOString().slice(0, 10)
  const bits = certificate.publicKey.asymmetricKeyDetails?.modulusLength
  return end > clock.now()
    ? { name, ok: true, detail: `RSA of ${bits} bits, ends on ${day}.` }
    : { name, ok: false, detail: `Ended on ${day}; it still counts, but the other side should have another by now.` }
}

const tryPlace = async ({ sso_url }: SamlSettings, { fetch }: UpstreamTools): Promise<Tried> => {
  try {
    const { status } = await fetch(sso_url)
    return { name: 'sso_url', ok: true, detail: `It answers with status ${status}.` }
  } catch {
    return { name: 'sso_url', ok: false, detail: 'It did not answer; people may still reach it from where they are.' }
  }
}

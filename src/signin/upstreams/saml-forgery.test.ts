import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fixedClock } from '../../platform/clock.ts'
import { certify } from './certificate-testing.ts'
import { saml } from './saml.ts'
import { type Asked, openSamlIdp, posted, type Said, type Signing, samlTools, signResponse } from './saml-testing.ts'
import type { NotArrived, Returned } from './upstream.ts'

const callback = 'https://id.example.org/callback/7d5c'
const clock = fixedClock(new Date('2026-11-21T12:00:00Z'))
const idp = openSamlIdp(clock.now)
const upstream = saml.open(saml.settings.parse(idp.settings), samlTools(clock))

/** Departs, and arrives with what `forge` makes of the request; says what came of it. */
const bring = async (forge: (asked: Asked, to: URL) => Returned | string, kept?: unknown) => {
  const departed = await upstream.depart({ callback, state: 'a-state' })
  assert.ok(departed.is === 'ok')
  const forged = forge(idp.read(departed.to), departed.to)
  const returned = typeof forged === 'string' ? posted(forged, 'a-state') : forged
  return upstream.arrive(returned, kept === undefined ? departed.keep : kept, { callback, state: 'a-state' })
}

const refuses = async (detail: RegExp, ...bringing: Parameters<typeof bring>): Promise<void> => {
  const answer = await bring(...bringing)
  assert.equal(answer.is, 'refused', JSON.stringify(answer))
  assert.match((answer as NotArrived).detail, detail)
  assert.doesNotMatch((answer as NotArrived).detail, /mike|admin|example/)
}

const saying = (said: Partial<Said>, signing: Partial<Signing> = {}) => ({
  forged: (_asked: Asked, to: URL) => idp.answer(to, said, signing),
})

/** A genuine response for mike in its parts, for wrapping. */
const partsOf = (asked: Asked, parts: Signing['parts'] = ['Assertion']) => {
  const xml = idp.respond(asked, {}, { parts })
  const assertion = /<saml:Assertion[\s\S]*<\/saml:Assertion>/.exec(xml)?.[0] ?? ''
  const signature = /<Signature[\s\S]*<\/Signature>/.exec(assertion)?.[0] ?? ''
  const bare = assertion.replace(signature, '')
  const evil = bare.replace('>mike<', '>admin<').replace(/ ID="[^"]*"/, ' ID="_evil"')
  assert.ok(signature && evil.includes('admin'))
  return { xml, assertion, signature, bare, evil }
}

const signAgain = (xml: string): string =>
  signResponse(xml, { key: idp.key, parts: ['Assertion'], algorithm: 'sha256', digest: 'sha256' })

test('takes the very response that the forgeries are made of', async () => {
  assert.equal((await bring((asked) => partsOf(asked).xml)).is, 'ok')
  assert.equal((await bring((asked) => partsOf(asked, ['Assertion', 'Response']).xml)).is, 'ok')
})

const into = (signature: string, content: string) =>
  signature.replace(
    '</Signature>',
    `<Object xmlns="http://www.w3.org/2000/09/xmldsig#">${content}</Object></Signature>`,
  )

/** The ways to wrap a signed part that were published as XSW 1 to 8 (On Breaking SAML, USENIX Security 2012). */
const wrappings: Record<string, (asked: Asked) => string> = {
  'XSW1: the signed response inside the signature of a forged one': (asked) => {
    const xml = idp.respond(asked, {}, { parts: ['Response'] })
    const signature = /<Signature[\s\S]*?<\/Signature>/.exec(xml)?.[0] ?? ''
    const genuine = xml.replace(signature, '')
    const forged = xml.replace('>mike<', '>admin<').replace(/ ID="_r[^"]*"/, ' ID="_evil"')
    return forged.replace(signature, into(signature, genuine))
  },
  'XSW2: the signed response before the signature of a forged one': (asked) => {
    const xml = idp.respond(asked, {}, { parts: ['Response'] })
    const signature = /<Signature[\s\S]*?<\/Signature>/.exec(xml)?.[0] ?? ''
    const genuine = xml.replace(signature, '')
    const forged = xml.replace('>mike<', '>admin<').replace(/ ID="_r[^"]*"/, ' ID="_evil"')
    return forged.replace(signature, `${genuine}${signature}`)
  },
  'XSW3: a forged assertion before the signed one': (asked) => {
    const { xml, assertion, evil } = partsOf(asked)
    return xml.replace(assertion, `${evil}${assertion}`)
  },
  'XSW4: the signed assertion inside a forged one': (asked) => {
    const { xml, assertion, evil } = partsOf(asked)
    return xml.replace(assertion, evil.replace('</saml:Assertion>', `${assertion}</saml:Assertion>`))
  },
  'XSW5: a forged assertion with the signature, the genuine one after it': (asked) => {
    const { xml, assertion, signature, bare, evil } = partsOf(asked)
    return xml.replace(assertion, `${evil.replace('</saml:Issuer>', `</saml:Issuer>${signature}`)}${bare}`)
  },
  'XSW6: a forged assertion with the signature, the genuine one inside that': (asked) => {
    const { xml, assertion, signature, bare, evil } = partsOf(asked)
    return xml.replace(assertion, evil.replace('</saml:Issuer>', `</saml:Issuer>${into(signature, bare)}`))
  },
  'XSW7: a forged assertion among extensions': (asked) => {
    const { xml, assertion, evil } = partsOf(asked)
    return xml.replace(assertion, `<samlp:Extensions>${evil}</samlp:Extensions>${assertion}`)
  },
  'XSW8: the genuine assertion in an object of a signed forged one': (asked) => {
    const { xml, assertion, signature, bare, evil } = partsOf(asked)
    const forged = evil.replace('</saml:Issuer>', `</saml:Issuer>${into(signature, bare)}`)
    return xml.replace(assertion, forged.replace(' ID="_evil"', ` ID="${/ ID="([^"]*)"/.exec(bare)?.[1]}"`))
  },
}

for (const [name, forge] of Object.entries(wrappings)) {
  test(`refuses ${name}`, () => refuses(/more than one assertion|not signed|more signatures/, forge))
}

test('refuses an assertion that is hidden under another name or namespace', async () => {
  await refuses(/more than one/, (asked) => {
    const { xml, assertion, evil } = partsOf(asked)
    const other = evil.replaceAll('saml:', 'x:').replace('xmlns:x=', 'xmlns:x="urn:other" xmlns:y=')
    return xml.replace(assertion, `${assertion}${other}`)
  })
  await refuses(/not where it belongs/, (asked) => {
    const { xml, assertion } = partsOf(asked)
    return xml.replace(assertion, `<samlp:Extensions>${assertion}</samlp:Extensions>`)
  })
  await refuses(/is encrypted/, (asked) => partsOf(asked).xml.replaceAll('saml:Assertion', 'saml:EncryptedAssertion'))
})

test('refuses two assertions, also where both are signed', () =>
  refuses(/more than one assertion/, (asked) => {
    const { xml, assertion } = partsOf(asked)
    return xml.replace(assertion, `${assertion}${partsOf(asked).assertion}`)
  }))

test('refuses an assertion that is not signed, or changed since', async () => {
  await refuses(/not signed/, saying({}, { parts: [] }).forged)
  await refuses(/fits none/, (asked) => partsOf(asked).xml.replace('>mike<', '>admin<'))
  await refuses(/fits none/, (asked) => {
    const { xml, signature } = partsOf(asked)
    return xml.replace(signature, signature.replace(/<SignatureValue>..../, '<SignatureValue>AAAA'))
  })
})

test('refuses an assertion for which only the response is signed, also where the signature is moved into it', async () => {
  await refuses(/assertion is not signed/, saying({}, { parts: ['Response'] }).forged)
  await refuses(/fits none/, (asked) => {
    const xml = idp.respond(asked, {}, { parts: ['Response'] })
    const signature = /<Signature[\s\S]*?<\/Signature>/.exec(xml)?.[0] ?? ''
    const moved = xml.replace(signature, '')
    return moved.replace(/(<saml:Assertion[^>]*><saml:Issuer>[^<]*<\/saml:Issuer>)/, `$1${signature}`)
  })
})

test('refuses a response whose own signature is broken around a genuine assertion', () =>
  refuses(/signature of the response/, (asked) =>
    partsOf(asked, ['Assertion', 'Response']).xml.replace(
      / IssueInstant="[^"]*"/,
      ' IssueInstant="2026-11-21T12:00:01Z"',
    ),
  ))

test('refuses what another key signed, also where it brings its certificate along', async () => {
  const other = certify()
  await refuses(/fits none/, saying({}, { key: other }).forged)
})

test('refuses SHA-1 in signatures and in digests', async () => {
  await refuses(/refused algorithm/, saying({}, { algorithm: 'sha1' }).forged)
  await refuses(/refused algorithm/, saying({}, { digest: 'sha1' }).forged)
})

test('refuses other algorithms and transforms before it looks at the signature', async () => {
  const swap = (from: string, to: string) => (asked: Asked) => {
    const { xml } = partsOf(asked)
    assert.ok(xml.includes(from))
    return xml.replaceAll(from, to)
  }
  const hmac = 'http://www.w3.org/2000/09/xmldsig#hmac-sha1'
  await refuses(/refused algorithm/, swap('http://www.w3.org/2001/04/xmldsig-more#rsa-sha256', hmac))
  const exclusive = 'http://www.w3.org/2001/10/xml-exc-c14n#'
  await refuses(/unknown form/, swap(exclusive, `${exclusive}WithComments`))
  await refuses(
    /transforms/,
    swap('http://www.w3.org/2000/09/xmldsig#enveloped-signature', 'http://www.w3.org/TR/1999/REC-xpath-19991116'),
  )
})

test('refuses a signature with several references, or with its information twice', async () => {
  await refuses(/exactly one element/, (asked) =>
    partsOf(asked).xml.replace(/(<Reference[\s\S]*?<\/Reference>)/, '$1$1'),
  )
  await refuses(/exactly one element/, (asked) =>
    partsOf(asked).xml.replace(/(<SignedInfo>[\s\S]*?<\/SignedInfo>)/, '$1$1'),
  )
  await refuses(/more signatures/, (asked) => partsOf(asked).xml.replace(/(<Signature [\s\S]*?<\/Signature>)/, '$1$1'))
})

test('refuses what is meant for somebody else', async () => {
  const elsewhere = 'https://id.example.org/callback/other'
  await refuses(/Audience/, saying({ audience: `${elsewhere}/metadata` }).forged)
  await refuses(/Audience/, saying({ audience: callback }).forged)
  await refuses(/Recipient/, saying({ recipient: elsewhere }).forged)
  await refuses(/Destination/, saying({ destination: elsewhere }).forged)
  await refuses(/Destination/, saying({ destination: '' }).forged)
  await refuses(/another issuer/, saying({ issuer: 'https://other.example/saml' }).forged)
})

test('wants every audience restriction to name it, and no condition that it does not know', async () => {
  const other = '<saml:AudienceRestriction><saml:Audience>x</saml:Audience></saml:AudienceRestriction>'
  await refuses(/Audience/, saying({ condition: other }).forged)
  await refuses(/unknown condition/, saying({ condition: '<saml:Condition/>' }).forged)
  assert.equal((await bring(saying({ condition: '<saml:OneTimeUse/>' }).forged)).is, 'ok')
})

test('refuses what answers no request, or another one', async () => {
  await refuses(/answers another request/, saying({ answers: undefined }).forged)
  await refuses(/answers another request/, saying({ confirms: undefined }).forged)
  await refuses(/answers another request/, saying({ answers: '_other' }).forged)
  await refuses(/answers another request/, saying({ confirms: '_other' }).forged)
  await refuses(/No request is known/, (_asked, to) => idp.answer(to), null)
  await refuses(/No request is known/, (_asked, to) => idp.answer(to), { id: 1 })
})

test('refuses what is too old or too early', async () => {
  const moved = (ms: number) => new Date(clock.now().getTime() + ms)
  await refuses(/no longer valid/, saying({ notOnOrAfter: moved(-31_000) }).forged)
  await refuses(/no longer valid/, saying({ confirmedUntil: moved(-31_000) }).forged)
  await refuses(/not valid yet/, saying({ notBefore: moved(31_000) }).forged)
})

test('refuses another RelayState, another method and other fields', async () => {
  await refuses(/RelayState/, (asked) => posted(idp.respond(asked), 'another'))
  await refuses(/by POST/, (_asked, to) => ({ ...idp.answer(to), method: 'GET' }))
  await refuses(/by POST/, () => ({ method: 'POST', fields: { RelayState: 'a-state' } }))
  await refuses(/RelayState/, (_asked, to) => ({
    method: 'POST',
    fields: { SAMLResponse: idp.answer(to).fields.SAMLResponse ?? '' },
  }))
})

test('refuses comments, wherever they are', async () => {
  await refuses(/no XML that is taken/, saying({ nameId: 'admin<!---->.evil' }).forged)
  await refuses(/no XML that is taken/, (asked) => partsOf(asked).xml.replace('>mike<', '>mi<!-- x -->ke<'))
  await refuses(/no XML that is taken/, (asked) => partsOf(asked).xml.replace('>mike<', '>mi<?x?>ke<'))
  await refuses(/no XML that is taken/, (asked) => partsOf(asked).xml.replace('>mike<', '><![CDATA[mike]]><'))
  await refuses(/no XML that is taken/, (asked) => `${partsOf(asked).xml}<!-- after -->`)
})

const entities = Array.from({ length: 10 }, (_, n) => `<!ENTITY l${n + 1} "${`&l${n};`.repeat(10)}">`).join('')

test('refuses document types and entities unparsed', async () => {
  const heads = [
    `<!DOCTYPE lolz [<!ENTITY l0 "lol">${entities}]>`,
    '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">',
    '<!DOCTYPE x [<!ENTITY name SYSTEM "file:///etc/passwd">]>',
    '<?xml version="1.0"?><!DOCTYPE x>',
  ]
  const started = performance.now()
  for (const head of heads) {
    await refuses(/no XML that is taken/, (asked) => `${head}${partsOf(asked).xml.replace('>mike<', '>&l10;<')}`)
  }
  assert.ok(performance.now() - started < 2000)
  await refuses(/refused|taken|fits none/, (asked) => partsOf(asked).xml.replace('>mike<', '>&unknown;<'))
})

test('takes a declaration of XML, and lines that end like those of Windows', async () => {
  assert.equal((await bring((asked) => `<?xml version="1.0" encoding="UTF-8"?>\r\n${partsOf(asked).xml}\r\n`)).is, 'ok')
})

test('refuses what is too long or too deep, is no text, or no XML', async () => {
  const started = performance.now()
  await refuses(/too long/, (asked) => partsOf(asked).xml + ' '.repeat(256 * 1024))
  await refuses(/taken/, () => `${'<a>'.repeat(40_000)}${'</a>'.repeat(20_000)}`)
  await refuses(/taken/, () => `<a b=">"><c d="/>">`.repeat(10_000))
  await refuses(/taken|not a SAML response/, () => '<a/><b/>')
  await refuses(/taken|not a SAML response/, () => '<<<<'.repeat(20_000))
  await refuses(/taken/, () => 'hello')
  await refuses(/by POST/, () => '')
  await refuses(/not a SAML response/, (asked) => partsOf(asked).assertion)
  const fields = (SAMLResponse: string): Returned => ({
    method: 'POST',
    fields: { SAMLResponse, RelayState: 'a-state' },
  })
  await refuses(/base64/, () => fields('%%%'))
  await refuses(/UTF-8/, () => fields(Buffer.from([0x3c, 0xff, 0xfe, 0x3e]).toString('base64')))
  await refuses(/taken|UTF-8/, (asked) => fields(Buffer.from(partsOf(asked).xml, 'utf16le').toString('base64')))
  assert.ok(performance.now() - started < 5000)
})

test('spends little time on what is made to be costly', async () => {
  const inside = (content: string) => (asked: Asked) =>
    partsOf(asked).xml.replace('</saml:Conditions>', `</saml:Conditions>${content}`)
  const many = (length: number, one: (n: number) => string) => Array.from({ length }, (_, n) => one(n)).join('')
  const started = performance.now()
  await refuses(/taken/, inside(many(50_000, () => '<a/>')))
  await refuses(/taken/, inside(`<a ${many(20_000, (n) => `a${n}='' `)}/>`))
  await refuses(/taken/, inside(`<a ${many(300, (n) => `xmlns:a${n}='u' `)}>${many(30_000, () => '<b/>')}</a>`))
  await refuses(/fits none/, inside(many(1_400, () => '<a/>')))
  await refuses(/fits none/, inside(`<a ${many(3_900, (n) => `xmlns:a${n}='u' `)}>${many(1_400, () => '<b/>')}</a>`))
  assert.ok(performance.now() - started < 5000)
})

test('refuses a signed assertion that lacks what it has to say', async () => {
  const lacking =
    (from: RegExp, to = '') =>
    (asked: Asked) => {
      const bare = idp.respond(asked, {}, { parts: [] })
      assert.match(bare, from)
      return signAgain(bare.replace(from, to))
    }
  await refuses(/does not say when/, lacking(/<saml:AuthnStatement[\s\S]*<\/saml:AuthnStatement>/))
  await refuses(/does not say when/, lacking(/ AuthnInstant="[^"]*"/))
  await refuses(/whom it is for/, lacking(/<saml:AudienceRestriction>[\s\S]*<\/saml:AudienceRestriction>/))
  await refuses(/whom it is for/, lacking(/<saml:Conditions[\s\S]*<\/saml:Conditions>/))
  await refuses(/until when/, lacking(/(<saml:SubjectConfirmationData[^>]*) NotOnOrAfter="[^"]*"/, '$1'))
  await refuses(/whoever bears/, lacking(/cm:bearer/, 'cm:holder-of-key'))
  await refuses(/whoever bears/, lacking(/<saml:Subject>[\s\S]*<\/saml:Subject>/))
  await refuses(/not valid yet/, lacking(/ NotBefore="[^"]*"/, ' NotBefore="soon"'))
  await refuses(/not valid yet/, lacking(/ NotBefore="([^"]*)Z"/, ' NotBefore="$1"'))
  await refuses(
    /assertion is of another issuer/,
    lacking(/(<saml:Assertion[^>]*><saml:Issuer>)[^<]*/, '$1https://other'),
  )
  await refuses(/no NameID/, lacking(/<saml:NameID[\s\S]*<\/saml:NameID>/))
})

import { attribute, children, everyElement, loadXml, ns, onlyChild, parseXml, type XmlElement } from './saml-xml.ts'

/**
 * The one assertion of a response as it was signed, parsed anew from the verified bytes; or why there is none. The
 * assertion itself has to be signed: a signature around the response says nothing of what is read from it. Where the
 * response is signed too, that signature has to hold as well.
 */
export const verifiedAssertion = async (
  xml: string,
  response: XmlElement,
  certificates: readonly string[],
): Promise<XmlElement | string> => {
  const assertion = lonelyAssertion(response)
  if (typeof assertion === 'string') return assertion
  const fault = signaturesFault(response, assertion)
  if (fault) return fault
  if (children(response, ns.signature, 'Signature').length && !(await verified(xml, response, certificates))) {
    return 'The signature of the response fits none of the certificates.'
  }
  const bytes = await verified(xml, assertion, certificates)
  if (bytes === undefined) return 'The signature of the assertion fits none of the certificates.'
  const root = await parseXml(bytes)
  return root && isNamed(root, ns.assertion, 'Assertion') ? root : 'What is signed is not the assertion.'
}

/** Whether an element has this name. */
export const isNamed = (element: XmlElement, namespace: string, name: string): boolean =>
  element.localName === name && element.namespaceURI === namespace

// Whatever its namespace and wherever it hides, there is to be no second one (signature wrapping).
const lonelyAssertion = (response: XmlElement): XmlElement | string => {
  const named = everyElement(response).filter(({ localName }) => /assertion$/i.test(localName ?? ''))
  if (named.some(({ localName }) => localName === 'EncryptedAssertion')) return 'The assertion is encrypted.'
  const [assertion, ...others] = named
  if (!assertion) return 'There is no assertion.'
  if (others.length) return 'There is more than one assertion.'
  const isBelow = onlyChild(response, ns.assertion, 'Assertion') === assertion
  return isBelow ? assertion : 'The assertion is not where it belongs.'
}

const signaturesFault = (response: XmlElement, assertion: XmlElement): string | undefined => {
  const own = children(assertion, ns.signature, 'Signature')
  if (!own.length) return 'The assertion is not signed.'
  const outer = children(response, ns.signature, 'Signature')
  const all = everyElement(response).filter(({ localName }) => localName === 'Signature')
  if (own.length > 1 || outer.length > 1 || all.length !== own.length + outer.length) {
    return 'There are more signatures than belong there.'
  }
  if (hasDuplicateIds(response)) return 'Two elements have the same ID.'
  return all.map(signatureFault).find((fault) => fault !== undefined)
}

const exclusive = 'http://www.w3.org/2001/10/xml-exc-c14n#'
const enveloped = 'http://www.w3.org/2000/09/xmldsig#enveloped-signature'

/** With comments or SHA-1 none is taken, and no transform but the two of SAML core section 5.4.4. */
const signatureFault = (signature: XmlElement): string | undefined => {
  const info = onlyChild(signature, ns.signature, 'SignedInfo')
  const reference = onlyChild(info, ns.signature, 'Reference')
  if (!info || !reference) return 'The signature does not refer to exactly one element.'
  if (!algorithmIn(info, 'SignatureMethod', signatureMethods)) return 'The signature is made by a refused algorithm.'
  if (!algorithmIn(reference, 'DigestMethod', digestMethods)) return 'The digest is made by a refused algorithm.'
  if (!algorithmIn(info, 'CanonicalizationMethod', [exclusive])) return 'The signature is of an unknown form.'
  const transforms = children(onlyChild(reference, ns.signature, 'Transforms'), ns.signature, 'Transform')
  const names = transforms.map((transform) => attribute(transform, 'Algorithm')).join(' ')
  return names === `${enveloped} ${exclusive}` ? undefined : 'The signature has transforms that are refused.'
}

const signatureMethods = [
  'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512',
]

const digestMethods = ['http://www.w3.org/2001/04/xmlenc#sha256', 'http://www.w3.org/2001/04/xmlenc#sha512']

const algorithmIn = (parent: XmlElement, name: string, allowed: readonly string[]): boolean =>
  allowed.includes(attribute(onlyChild(parent, ns.signature, name), 'Algorithm') ?? '')

const hasDuplicateIds = (root: XmlElement): boolean => {
  const ids = everyElement(root).flatMap((element) =>
    ['ID', 'Id', 'id'].flatMap((name) => attribute(element, name) ?? []),
  )
  return new Set(ids).size !== ids.length
}

// The bytes that were signed, from the package that checks them, and only where they are this very element's.
const verified = async (
  xml: string,
  element: XmlElement,
  certificates: readonly string[],
): Promise<string | undefined> => {
  const { getVerifiedXml } = await loadXml()
  try {
    return getVerifiedXml(xml, element, [...certificates]) ?? undefined
  } catch {
    return undefined
  }
}

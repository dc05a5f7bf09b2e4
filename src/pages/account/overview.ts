import { pathOf } from '../../directory/address.ts'
import { type AccountPage, type AccountSection, type AccountVisit, addressOf, draw } from './visit.ts'

/** The first page: who this is, and where everything else is. */
export const overview = (sectionsOf: (visit: AccountVisit) => AccountSection[]): AccountPage => ({
  path: '',
  get: (visit) => {
    const { words, user, issuer } = visit
    const sections = sectionsOf(visit).map(({ name }) => ({
      href: addressOf(visit, name),
      label: words.t(`account.${name}.title`),
      detail: words.t(`account.${name}.about`),
    }))
    const signOut = `${pathOf(issuer.workspace)}/logout`
    draw(visit, 'account/overview', { sections, identifier: user.identifiers[0]?.typed ?? '', signOut })
  },
})

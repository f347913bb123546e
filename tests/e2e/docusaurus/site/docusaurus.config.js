// Plain enough to build offline: the docs plugin and the theme, nothing from another server.
module.exports = {
  title: 'Skerry Point',
  url: 'https://example.com',
  baseUrl: '/',
  onBrokenLinks: 'ignore',
  onBrokenAnchors: 'ignore',
  i18n: {defaultLocale: 'en', locales: ['en', 'de']},
  themes: ['@docusaurus/theme-classic'],
  plugins: ['@docusaurus/plugin-content-docs'],
};

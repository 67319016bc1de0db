// esbuild gathers what is imported so into one style sheet.
declare module '*.css'

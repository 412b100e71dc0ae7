// How the page is built: fixed file names (the server sets ETags), relative addresses (works under a sub-path), nothing inlined (strict CSP).
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

const server = process.env.WEIR_URL ?? 'http://127.0.0.1:7280';

export default defineConfig({
  base: './',
  plugins: [svelte()],
  server: { proxy: { '/api': server, '/health': server } },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: 'licenses.md' },
    chunkSizeWarningLimit: 700,
    rollupOptions: {
      output: {
        entryFileNames: 'assets/[name].js',
        chunkFileNames: 'assets/[name].js',
        assetFileNames: 'assets/[name][extname]',
      },
    },
  },
  test: { include: ['tests/**/*.test.ts'], testTimeout: 180_000, hookTimeout: 180_000, fileParallelism: false },
} as Parameters<typeof defineConfig>[0]);
